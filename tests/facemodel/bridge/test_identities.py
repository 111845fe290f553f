"""Who the default model can be, on other meshes."""

import numpy as np
import pytest
import torch

import facemodel
from benchmarks.model_files import make_head, write_facewarehouse, write_flame
from facemodel.bridge.alignment import similarity
from facemodel.bridge.carrying import carry_over
from facemodel.bridge.identities import with_identities
from facemodel.correspondence import Correspondence, Placement
from facemodel.importing import import_model
from tests.facemodel.bridge.heads import other_head

SCALE = 0.94


@pytest.fixture(scope="module")
def heads():
    model, truth = other_head(scale=SCALE)
    return model, carry_over(facemodel.load(), model), truth


def person(model, values):
    """All of identity's coefficients: those that were carried over are the default's, the last takes the mean there."""
    return torch.cat([torch.zeros(model.own_identities), values, torch.ones(1)])


def test_its_own_come_first_and_are_counted(heads):
    before, model, _ = heads
    default = facemodel.load()
    assert model.own_identities == before.count("identity") == 3
    assert model.count("identity") == 3 + default.count("identity") + 1
    assert "identity (81)" in model.provenance.carried


def test_a_person_of_the_default_model_is_the_same_person(heads):
    """In true size, wherever the head's own frame is, of whatever size its own people are."""
    _, model, _ = heads
    default = facemodel.load()
    values = 0.8 * torch.randn(80, generator=torch.Generator().manual_seed(5))
    there = model.vertices(person(model, values))
    wanted = default.vertices(values)
    face = default.region("face") & (model.correspondence.on_model.weights > 0.9)
    got = model.correspondence.on_model.pick(there, model.triangles)[face]
    size, turn, shift = similarity(wanted[face].double().numpy(), got.double().numpy())
    assert abs(size - 1) < 2e-3 and np.linalg.norm(shift) < 40
    off = got - torch.from_numpy(size * wanted[face].double().numpy() @ turn.T + shift)
    assert float(off.norm(dim=-1).median()) < 0.3


def test_eyeballs_go_along(heads):
    _, model, _ = heads
    default = facemodel.load()
    values = 0.8 * torch.randn(80, generator=torch.Generator().manual_seed(6))
    identity = person(model, values)
    torch.testing.assert_close(model.eye_radius(identity), default.eye_radius(values), atol=1e-3, rtol=0)
    apart = [m.eye_centers(i).diff(dim=0).norm() for m, i in ((model, identity), (default, values))]
    assert abs(float(apart[0] - apart[1])) < 1e-2
    there = model.vertices(identity)
    for eye, index in enumerate(model.eyes.vertices):
        out = (there[index] - model.eye_centers(identity)[eye]).norm(dim=-1)
        at_rest = (model.mean[index] - model.eye_centers()[eye]).norm(dim=-1)
        torch.testing.assert_close(
            out / model.eye_radius(identity)[eye], at_rest / model.eye_radius()[eye], atol=1e-3, rtol=0
        )


def test_what_has_no_counterpart_goes_along(heads):
    """No spikes: neighbours move alike."""
    _, model, _ = heads
    moves = model.identity_basis[model.own_identities : -1]
    a, b = model.triangles[:, 0], model.triangles[:, 1]
    length = (model.mean[a] - model.mean[b]).norm(dim=-1).clamp_min(1.0)
    stretch = (moves[:, a] - moves[:, b]).norm(dim=-1).amax(0) / length
    assert float(stretch.quantile(0.99)) < 0.5 and float(stretch.amax()) < 2


@pytest.mark.parametrize("write", [write_facewarehouse, write_flame], ids=["bilinear", "jointed"])
def test_of_models_that_are_not_linear(write, tmp_path):
    """Added to the shape at rest; joints go along with what is around."""
    written, default = write(tmp_path, make_head()), facemodel.load()
    before = import_model(written.path, written.extras, force=True)
    count, generator = len(before.mean), torch.Generator().manual_seed(0)
    on = torch.randint(len(default.triangles), (count,), generator=generator)
    place = Placement(on, torch.full((count, 3), 1 / 3), torch.ones(count))
    ours = Placement(
        torch.zeros(len(default.mean)).long(), torch.ones(len(default.mean), 3) / 3, torch.ones(len(default.mean))
    )
    made, more = with_identities(default, before, Correspondence(default.fingerprint, place, ours, default.mean))
    own = before.count("identity")
    assert more == 81 and made.count("identity") == own + 81
    identity = torch.randn(own, generator=generator)
    wide = torch.cat([identity, 0.5 * torch.randn(more, generator=generator)])
    expression = 0.2 * before.blocks["expression"].std
    torch.testing.assert_close(
        made.vertices(torch.cat([identity, torch.zeros(more)]), expression), before.vertices(identity, expression),
        atol=1e-3, rtol=0,
    )  # fmt: skip
    added = torch.einsum("k,kvc->vc", wide[own:], made.identity_basis[own:])
    assert added.norm(dim=-1).median() > 1
    torch.testing.assert_close(
        made.vertices(wide, expression), before.vertices(identity, expression) + added, atol=1e-3, rtol=1e-4
    )
    if made.count("joints"):
        at = made.rest_joints(wide) - before.rest_joints(identity)
        assert (at.norm(dim=-1) > 0).all() and (at.norm(dim=-1) < added.norm(dim=-1).amax()).all()
        state = wide, 0 * expression, 0.1 * torch.ones(made.count("joints"))
        there = made.linearize(*state)
        eps = 1e-2
        k = own + 3
        for_step = [
            made.vertices(wide + sign * eps * torch.eye(len(wide))[k], state[1], None, state[2]) for sign in (1, -1)
        ]
        torch.testing.assert_close((for_step[0] - for_step[1]) / (2 * eps), there.identity[k], atol=0.02, rtol=0.02)
