"""A detector's landmarks on a model's surface: where they are, how they turn, and which pairs of them matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.landmark_schemes import SCHEMES
from geometry.mesh import vertex_normals


@dataclass(frozen=True, eq=False)
class LandmarkPoints:
    """L landmarks; those on an eyeball turn with it."""

    mean: Tensor  # (L, 3) mm, of the mean face
    normal: Tensor  # (L, 3) unit, of the mean face
    weights: Tensor  # (L,) 0 to 1
    corners: Tensor  # (L, 3) int64: vertices about each
    barycentric: Tensor  # (L, 3)
    eye: Tensor  # (L,) int64: 0 left eyeball, 1 right eyeball, -1 skin
    centre_mean: Tensor  # (2, 3) mm, eyeball centres; zero without eyes
    centre_identity: Tensor  # (2, 3, I)
    pairs: Tensor  # (P, 2) int64: landmarks whose distance opens an eye or the mouth, or is a brow's height
    eye_pairs: int  # how many of the pairs belong to eyes: the left eye's first, then as many of the right
    lip_pairs: int  # how many belong to lips, after those; the others are (brow, corner of the eye)
    eye_corners: Tensor  # (2, 2) int64: the two corners of the left eye, of the right eye

    @property
    def on_lips(self) -> Tensor:
        """(P', 2): the pairs that open the mouth."""
        return self.pairs[self.eye_pairs : self.eye_pairs + self.lip_pairs]

    @property
    def on_brows(self) -> Tensor:
        """(P', 2): the pairs of a brow's landmark and a corner of the eye."""
        return self.pairs[self.eye_pairs + self.lip_pairs :]

    def rows(self, vertices: int) -> sparse.csr_matrix:
        """(L, V): which combinations of so many vertices they are."""
        count = len(self.mean)
        at = np.repeat(np.arange(count), 3), self.corners.cpu().numpy().ravel()
        weights = self.barycentric.cpu().double().numpy().ravel()
        return sparse.csr_matrix((weights, at), shape=(count, vertices))

    def gather(self, values: Tensor) -> Tensor:
        """Any attribute of the vertices, or derivatives of one, (..., V, 3), to (L, 3, ...)."""
        at = _at(values, self.corners, self.barycentric)
        return at if values.dim() == 2 else at.permute(1, 2, 0).contiguous()

    def centres(self, identity: Tensor) -> Tensor:
        """(2, 3) mm of the eyeballs' centres."""
        return self.centre_mean + self.centre_identity @ identity


def landmark_points(model: FaceModel, scheme: str) -> LandmarkPoints:
    """The landmarks of a scheme; PortraitError where the model has no such landmarks."""
    embedding, points, eyes = model.embedding(scheme), SCHEMES[scheme], model.eyes
    corners = model.triangles[embedding.triangles]  # (L, 3)
    on_eye = torch.full((len(corners),), -1, dtype=torch.long, device=corners.device)
    centre_mean, centre_identity = model.mean.new_zeros(2, 3), model.mean.new_zeros(2, 3, model.count("identity"))
    if eyes is not None:
        for side, vertices in enumerate(eyes.vertices):
            on_eye[torch.isin(corners[:, 0], vertices)] = side
        centre_mean, centre_identity = eyes.center_mean, eyes.center_basis.permute(1, 2, 0).contiguous()
    normal = _at(vertex_normals(model.mean, model.triangles), corners, embedding.barycentric)
    left, right = points.eye_pairs
    pairs = torch.tensor([*left, *right, *points.lip_pairs, *points.brow_pairs], device=corners.device)
    return LandmarkPoints(
        mean=_at(model.mean, corners, embedding.barycentric),
        normal=normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-6),
        weights=embedding.weights,
        corners=corners,
        barycentric=embedding.barycentric,
        eye=on_eye,
        centre_mean=centre_mean,
        centre_identity=centre_identity,
        pairs=pairs,
        eye_pairs=len(left) + len(right),
        lip_pairs=len(points.lip_pairs),
        eye_corners=torch.tensor(points.eye_corners, device=corners.device),
    )


def _at(values: Tensor, corners: Tensor, barycentric: Tensor) -> Tensor:
    """(..., V, 3) to (..., L, 3)."""
    return (values[..., corners, :] * barycentric[..., None]).sum(-2)
