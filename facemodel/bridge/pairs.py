"""Which points of one model's surface are which of another's, whatever the two are.

Enter two models, leave N points on each. Models of one topology correspond vertex by vertex; any others through the
default model, to which both were registered at import. `fitting.conversion` carries tracks over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.correspondence import CORRESPONDING, Placement
from foundation.errors import PortraitError

INSIDE = ("eyes", "teeth", "tongue", "mouth_inside")
BEYOND = 0.1
"""Weight of a point of the head that isn't the face's."""


@dataclass(frozen=True)
class Pairs:
    """N points on two models' surfaces."""

    first: sparse.csr_matrix  # (N, V) of the first model's vertices
    second: sparse.csr_matrix  # (N, V')
    weights: Tensor  # (N,) 0 to 1
    face: Tensor  # (N,) bool: of the face, not of the head around it


def pair(first: FaceModel, second: FaceModel, default: FaceModel) -> Pairs:
    """PortraitError where a model of another topology wasn't registered to the default one."""
    if first.triangles.shape == second.triangles.shape and torch.equal(first.triangles, second.triangles):
        at, weights = _weighted(first)
        rows = _rows(_at_vertices(first, at), first)
        return Pairs(rows, rows, weights, weights == 1)
    places = [_placed(model, default) for model in (first, second)]
    at, weights = _weighted(default)
    known = torch.minimum(*(p.weights.cpu()[at] for p in places))
    kept = known >= CORRESPONDING
    at, weights, known = at[kept], weights[kept], known[kept]
    if not len(at):
        raise PortraitError(
            f"model '{second.name}': no point of its surface is one of model '{first.name}' as well; import both again "
            "with 'portrait model import', and look at them with 'portrait model show'"
        )
    ends = [
        _rows(Placement(p.triangles.cpu()[at], p.barycentric.cpu()[at], known), model)
        for p, model in zip(places, (first, second))
    ]
    return Pairs(*ends, weights * known, weights == 1)


def _weighted(model: FaceModel) -> tuple[Tensor, Tensor]:
    """Indices of the vertices that count, and their weights: all of the face, some of the rest of the skin."""
    used = torch.zeros(len(model.mean), dtype=torch.bool)
    used[model.triangles.cpu().unique()] = True
    for name in INSIDE:
        used &= ~model.region(name).cpu()
    for eye in model.eyes.vertices if model.eyes is not None else ():
        used[eye.cpu()] = False
    face = model.region("face").cpu() & used
    if not face.any():
        return used.nonzero().flatten(), torch.ones(int(used.sum()))
    rest = (used & ~face).nonzero().flatten()[::3]
    at = torch.cat([face.nonzero().flatten(), rest])
    return at, torch.cat([torch.ones(len(at) - len(rest)), torch.full((len(rest),), BEYOND)])


def _placed(model: FaceModel, default: FaceModel) -> Placement:
    """Where the default model's vertices are on a model."""
    if model.fingerprint == default.fingerprint:
        return _at_vertices(model, torch.arange(len(model.mean)))
    found = getattr(model, "correspondence", None)
    if found is None or found.fingerprint != default.fingerprint:
        raise PortraitError(
            f"model '{model.name}': it isn't registered to the default model, so nothing can be carried to it or from "
            "it; import it with 'portrait model import FILE -o FILE.model'"
        )
    return found.on_model


def _at_vertices(model: FaceModel, at: Tensor) -> Placement:
    """These vertices as points of the surface; of weight 0 where no triangle has one."""
    corners = model.triangles.cpu().flatten()
    first = torch.full((len(model.mean),), -1)
    first[corners.flip(0)] = torch.arange(len(corners)).flip(0)
    corner = first[at]
    barycentric = torch.nn.functional.one_hot(corner.clamp_min(0) % 3, 3).float()
    return Placement(corner.clamp_min(0) // 3, barycentric, (corner >= 0).float())


def _rows(place: Placement, model: FaceModel) -> sparse.csr_matrix:
    """(N, V)."""
    corners = model.triangles.cpu()[place.triangles].numpy()
    rows = np.repeat(np.arange(len(corners)), 3)
    weights = place.barycentric.double().numpy().ravel()
    return sparse.csr_matrix((weights, (rows, corners.ravel())), shape=(len(corners), len(model.mean)))
