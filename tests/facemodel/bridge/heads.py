"""A head in another mesh than the default model's, of which everything is known."""

from dataclasses import fields

import torch

import facemodel
from facemodel.base import LandmarkEmbedding
from facemodel.correspondence import Correspondence
from facemodel.linear import LinearModel
from facemodel.provenance import Provenance


def other_head(landmarks: bool = True, scale: float = 0.94) -> tuple[LinearModel, torch.Tensor]:
    """The skin of somebody's face and scalp, without eyes, and where the default's vertices are in it (V0, 3) mm."""
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
    chosen = used[order]
    tensors = {
        "mean": truth[chosen],
        "triangles": place[table].roll(1, 1),
        "identity_basis": scale * default.identity_basis[:3, chosen],
        "expression_basis": torch.zeros(0, len(used), 3),
    }
    if landmarks:
        ours = default.embeddings["ibug68"]
        new = torch.full((len(default.triangles),), -1)
        new[keep] = torch.arange(int(keep.sum()))
        there = new[ours.triangles] >= 0
        parts = new[ours.triangles].clamp_min(0), ours.barycentric.roll(1, 1), ours.weights * there
        tensors |= {f"landmark_{f.name}_ibug68": part for f, part in zip(fields(LandmarkEmbedding), parts)}
    model = LinearModel(tensors, name="other", fingerprint="0", expression=facemodel.Block.activations(()))
    model.provenance = Provenance("test", ("other",), "0", "millimetres")
    return model, truth


def assert_found(found: Correspondence, model: LinearModel, truth: torch.Tensor, within: float) -> None:
    """The default's face is where it is known to be, both ways, and its neck, which the head lacks, nowhere."""
    default = facemodel.load()
    face = default.region("face") & ~default.region("neck")
    assert (found.registered - truth).norm(dim=-1)[face].median() < within
    there = found.on_model.pick(model.mean, model.triangles)
    matched = face & (found.on_model.weights > 0.5)
    assert matched[face].float().mean() > 0.95
    assert (there - truth).norm(dim=-1)[matched].median() < within
    back = found.on_default.pick(truth, default.triangles)
    assert (back - model.mean).norm(dim=-1)[found.matched()].median() < within
    neck = default.region("neck") & ~default.region("scalp")
    assert found.on_model.weights[neck].median() == 0
