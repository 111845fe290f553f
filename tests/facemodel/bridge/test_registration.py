"""The default model registered to a head that is itself in another mesh, of which the truth is known."""

from dataclasses import fields

import numpy as np
import pytest
import torch

import facemodel
from facemodel.base import LandmarkEmbedding
from facemodel.bridge.alignment import similarity
from facemodel.bridge.registration import register, with_correspondence
from facemodel.bridge.surface import Surface
from facemodel.formats.default import write_model
from facemodel.linear import LinearModel


def other_head(scale: float = 0.94, landmarks: bool = True) -> tuple[LinearModel, torch.Tensor]:
    """The face and scalp of somebody in a coarser mesh without eyes, and where the default's vertices are in it."""
    default = facemodel.load()
    generator = torch.Generator().manual_seed(3)
    shape = default.vertices(0.9 * torch.randn(80, generator=generator))
    truth = scale * shape + torch.tensor([3.0, -20.0, 8.0])
    keep = (default.region("skin") | default.region("scalp"))[default.triangles].all(1)
    kept = default.triangles[keep]
    used, table = kept.unique(return_inverse=True)
    order = torch.randperm(len(used), generator=generator)  # vertices in another order
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    tensors = {
        "mean": truth[used][order],
        "triangles": place[table].roll(1, 1),
        "identity_basis": torch.zeros(0, len(used), 3),
        "expression_basis": torch.zeros(0, len(used), 3),
    }
    if landmarks:
        ours = default.embeddings["ibug68"]
        new = torch.full((len(default.triangles),), -1)
        new[keep] = torch.arange(int(keep.sum()))
        there = new[ours.triangles] >= 0
        parts = new[ours.triangles].clamp_min(0), ours.barycentric.roll(1, 1), ours.weights * there
        named = zip(fields(LandmarkEmbedding), parts)
        tensors |= {f"landmark_{f.name}_ibug68": part for f, part in named}
    block = facemodel.Block.activations(())
    return LinearModel(tensors, name="other", fingerprint="0", expression=block), truth


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
    kept = with_correspondence(model, found)
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
