"""A model with more statistical expressions than a picture tells apart is fitted by fewer, on the same surface."""

import numpy as np
import pytest
import torch

import facemodel
from benchmarks.model_files import make_head, write_flame
from facemodel.base import Block
from facemodel.importing import import_model
from facemodel.parameters import FaceParameters
from fitting import Settings
from fitting.tracking.frame import Fitter
from fitting.tracking.reduced import reduced, statistical
from tests.fitting.toy import JawModel

LEAST = 0.1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """FLAME's form: 100 components of a made-up head, and two lids."""
    folder = tmp_path_factory.mktemp("flame")
    written = write_flame(folder, make_head(), chumpy=False, lids=True)
    return import_model(written.path, written.extras, force=True)


def test_what_moves_the_face_is_kept(model):
    few = reduced(model, LEAST)
    count = model.count("expression")
    assert few.model.expression_names[:2] == ("eyeBlinkLeft", "eyeBlinkRight")
    assert 10 < few.model.count("expression") < 0.7 * count and few.model.count("joints") == model.count("joints")
    assert few.model.fingerprint == model.fingerprint
    # A random face of the prior's, and the nearest that is left, differ by what was left out.
    values = torch.randn(64, count, generator=torch.Generator().manual_seed(0)) * (
        ~model.blocks["expression"].lower.eq(0)
    )
    p = FaceParameters.neutral(model, (64,), focal=700.0).replace(expression=values)
    near = few.parameters(few.part(p))
    off = (model.vertices(None, near.expression) - model.vertices(None, values)).square().sum(-1).mean().sqrt()
    left = count - 2 - (few.model.count("expression") - 2)
    assert 0 < float(off) < LEAST * left**0.5
    assert float(off) < 0.1 * float((model.vertices(None, values) - model.mean).square().sum(-1).mean().sqrt())


def test_it_is_the_same_surface(model):
    """With identity, joints and gaze, whatever the values."""
    few, generator = reduced(model, LEAST), torch.Generator().manual_seed(1)
    z = 0.3 * torch.randn(few.model.count("expression"), generator=generator)
    z[:2] = torch.tensor([0.5, 0.2])
    identity, joints = torch.randn(300, generator=generator), 0.2 * torch.randn(6, generator=generator)
    gaze = torch.tensor([[0.2, 0.1], [0.2, 0.1]])
    ours = few.model.vertices(identity, z, gaze, joints)
    torch.testing.assert_close(ours, model.vertices(identity, few.expression(z), gaze, joints), atol=1e-3, rtol=0)


def test_spreads_are_of_the_prior_where_nothing_is_seen(model):
    few = reduced(model, LEAST)
    own, whole = (m.blocks["expression"].std for m in (few.model, model))
    torch.testing.assert_close(few.expression_spread(own[None])[0], whole, atol=1e-4, rtol=0)
    seen = few.expression_spread(0.1 * own[None])[0]
    assert (seen < whole).all() and float(seen[0]) < 0.5 * float(whole[0])
    torch.testing.assert_close(seen[-2:], 0.1 * whole[-2:])  # the lids, which stay as they are


@pytest.mark.parametrize("of", [facemodel.load, JawModel])
def test_what_is_no_statistics_stays(of):
    whole = of()
    assert reduced(whole, LEAST).model is whole and reduced(whole, LEAST).sums is None
    if of is facemodel.load:
        assert not statistical(whole).any()


def test_a_rest_that_is_not_zero_stays(model):
    block = model.blocks["expression"]
    other = model.rebuilt(
        model.flatten(), expression=Block(block.names, block.lower, block.upper, block.mean + 0.1, block.std)
    )
    assert not statistical(other).any()


def test_a_fit_is_of_the_whole_model(model):
    """What leaves the fitter has all coefficients; nothing is fitted by identities that were carried over."""
    tensors = model.flatten()
    for name in ("identity_basis", "joint_identity_basis", "eye_center_basis", "eye_radius_basis"):
        tensors[name] = torch.cat([tensors[name], tensors[name][:5]])
    marks = {"triangles": torch.arange(68), "barycentric": torch.full((68, 3), 1 / 3), "weights": torch.ones(68)}
    tensors |= {f"landmark_{part}_ibug68": value for part, value in marks.items()}
    wide = model.rebuilt(tensors)
    wide.provenance = facemodel.provenance.Provenance("test", (), "0", "millimetres", own_identities=300)
    fitter = Fitter(wide, "ibug68", 700.0, None, Settings(samples=50))
    assert fitter.layout.identity == 300 and fitter.layout.expression < 102
    whole = fitter.reduced.parameters(FaceParameters.neutral(fitter.model, (2,), focal=700.0))
    assert whole.identity.shape[-1] == 305 and whole.expression.shape == (2, 102)
    priors = fitter.prior_stds(False)
    assert len(priors["identity"]) == 305 and len(priors["expression"]) == 102
    assert Fitter(wide, "ibug68", 700.0, None, Settings(samples=50), anybody=True).layout.identity == 305
    assert np.isfinite(whole.expression.numpy()).all()
