"""The default model registered to a head that is itself in another mesh, of which the truth is known."""

import numpy as np
import pytest
import torch

import facemodel
from facemodel.bridge.alignment import similarity
from facemodel.bridge.registration import register
from facemodel.bridge.surface import Surface
from facemodel.formats.default import write_model
from tests.facemodel.bridge.heads import other_head


@pytest.fixture(scope="module")
def registered():
    """By whether there are landmarks: the model, the truth, what was found."""
    heads = {landmarks: other_head(landmarks=landmarks) for landmarks in (True, False)}
    return {k: (*head, register(facemodel.load(), head[0])) for k, head in heads.items()}


@pytest.mark.parametrize("landmarks", [True, False], ids=["landmarks", "no landmarks"])
def test_the_face_is_where_it_is_known_to_be(landmarks, registered):
    default = facemodel.load()
    model, truth, found = registered[landmarks]
    face = default.region("face") & ~default.region("neck")
    error = (found.registered - truth).norm(dim=-1)[face]
    assert error.median() < (0.6 if landmarks else 1.5)
    corners = model.triangles[found.on_model.triangles]
    there = (model.mean[corners] * found.on_model.barycentric[..., None]).sum(1)
    matched = face & (found.on_model.weights > 0.5)
    assert matched[face].float().mean() > 0.95
    assert ((there - truth).norm(dim=-1)[matched]).median() < (0.6 if landmarks else 1.5)
    back = found.on_default.pick(truth, default.triangles)
    assert (back - model.mean).norm(dim=-1)[found.matched()].median() < (0.6 if landmarks else 1.5)
    neck = default.region("neck") & ~default.region("scalp")
    assert found.on_model.weights[neck].median() == 0


def test_the_surfaces_touch_and_the_file_keeps_it(tmp_path, registered):
    default = facemodel.load()
    model, _, found = registered[True]
    kept = model.rebuilt(model.flatten() | found.tensors(), registered=found.fingerprint)
    triangles = model.triangles.numpy()
    surface = Surface(model.mean.double().numpy(), triangles)
    face = (default.region("face") & ~default.region("eyelids")).numpy()
    gap = surface.nearest(kept.correspondence.registered.double().numpy()[face]).distance
    assert np.median(gap) < 0.2
    write_model(tmp_path / "other.model", kept)
    again = facemodel.load(tmp_path / "other.model").correspondence
    assert again.fingerprint == default.fingerprint
    for name, value in kept.correspondence.tensors().items():
        assert torch.equal(value, again.tensors()[name])


def test_similarity_is_what_it_was_made_with():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scale, rotation, shift = similarity(points, 1.7 * points @ turn.T + [1, 2, 3])
    assert np.isclose(scale, 1.7) and np.allclose(rotation, turn) and np.allclose(shift, [1, 2, 3])
