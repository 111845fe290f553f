"""Points fixed on the model's surface, with all that is linear in the coefficients gathered beforehand.

The photometric term compares colours at some thousand surface points. For each of them the solver needs a
position and a normal, for every iteration of every frame. Both come from nine numbers that are linear in the
vertices: the position and two tangents (averaged over the triangles around, so that the normal is smooth).
Gathering the bases' rows for those nine numbers once makes a frame's geometry and its whole Jacobian one small
matrix product, without touching the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.landmark_schemes import SCHEMES
from geometry.mesh import vertex_normals


@dataclass(frozen=True)
class SurfaceSamples:
    """N points. Rows of nine: position, tangent u, tangent v, each x y z in the model frame; normal = u x v."""

    mean: Tensor  # (N, 9) mm; tangents have no unit
    identity: Tensor  # (N, 9, I)
    expression: Tensor  # (N, 9, E)
    albedo_mean: Tensor  # (N, 3) linear RGB
    albedo: Tensor  # (N, 3, A)

    def __len__(self) -> int:
        return len(self.mean)

    def every(self, step: int) -> SurfaceSamples:
        """Each ``step``-th point: they are as evenly spread as all are."""
        return SurfaceSamples(*(getattr(self, f.name)[::step].contiguous() for f in fields(self)))


@dataclass(frozen=True)
class LandmarkSamples:
    """L landmarks; those on an eyeball turn with it."""

    mean: Tensor  # (L, 3) mm
    identity: Tensor  # (L, 3, I)
    expression: Tensor  # (L, 3, E)
    normal: Tensor  # (L, 3) unit, of the mean face
    weights: Tensor  # (L,) 0 to 1
    eye: Tensor  # (L,) int64: 0 left eyeball, 1 right eyeball, -1 skin
    centre_mean: Tensor  # (2, 3) mm, eyeball centres
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


def surface_samples(model: FaceModel, count: int, regions: tuple[str, ...] = ("skin", "lips")) -> SurfaceSamples:
    """``count`` points spread evenly over the triangles that lie wholly in ``regions``."""
    mean = model.mean.cpu().double().numpy()
    triangles = model.triangles.cpu().numpy()
    mask = np.zeros(len(mean), bool)
    for name in regions:
        mask |= model.regions[name].cpu().numpy()
    inside = np.flatnonzero(mask[triangles].all(1))
    chosen, barycentric = _spread(mean, triangles[inside], count)
    operators = _operators(mean, triangles, inside[chosen], barycentric)

    def gather(values: Tensor) -> np.ndarray:  # (..., V, 3) -> (N, 9, ...)
        flat = values.detach().cpu().double().numpy()
        lead = flat.shape[:-2]
        columns = np.moveaxis(flat.reshape(-1, *flat.shape[-2:]), 0, 2).reshape(flat.shape[-2], -1)
        rows = [(op @ columns).reshape(count, 3, -1) for op in operators]
        out = np.concatenate(rows, 1)
        return out if lead else out[..., 0]

    as_tensor = lambda a: torch.from_numpy(np.ascontiguousarray(a)).float().to(model.mean.device)  # noqa: E731
    return SurfaceSamples(
        mean=as_tensor(gather(model.mean)),
        identity=as_tensor(gather(model.identity_basis)),
        expression=as_tensor(gather(model.expression_basis)),
        albedo_mean=as_tensor(gather(model.albedo_mean)[:, :3]),
        albedo=as_tensor(gather(model.albedo_basis)[:, :3]),
    )


def landmark_samples(model: FaceModel, scheme: str) -> LandmarkSamples:
    """The landmarks of a scheme as linear functions of the coefficients."""
    triangles = model.triangles[model.embedding(scheme).triangles]  # (L, 3)
    barycentric = model.embedding(scheme).barycentric  # (L, 3)

    def at(values: Tensor) -> Tensor:  # (..., V, 3) -> (..., L, 3)
        return (values[..., triangles, :] * barycentric[..., None]).sum(-2)

    on_eye = torch.full((len(triangles),), -1, dtype=torch.long, device=triangles.device)
    for side, vertices in enumerate(model.eyes.vertices):
        on_eye[torch.isin(triangles[:, 0], vertices)] = side
    normal = at(vertex_normals(model.mean, model.triangles))
    points = SCHEMES[scheme]
    left, right = points.eye_pairs
    return LandmarkSamples(
        mean=at(model.mean),
        identity=at(model.identity_basis).permute(1, 2, 0).contiguous(),
        expression=at(model.expression_basis).permute(1, 2, 0).contiguous(),
        normal=normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-6),
        weights=model.embedding(scheme).weights,
        eye=on_eye,
        centre_mean=model.eye_center_mean,
        centre_identity=model.eye_center_basis.permute(1, 2, 0).contiguous(),
        pairs=torch.tensor([*left, *right, *points.lip_pairs, *points.brow_pairs], device=triangles.device),
        eye_pairs=len(left) + len(right),
        lip_pairs=len(points.lip_pairs),
        eye_corners=torch.tensor(points.eye_corners, device=triangles.device),
    )


def _spread(vertices: np.ndarray, triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Stratified, deterministic: (count,) triangle indices and (count, 3) barycentrics.

    By area as seen from the front, and a quarter of the area that isn't, so that turned heads have points too.
    """
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    area = 0.25 * np.linalg.norm(cross, axis=1) + 0.75 * np.maximum(cross[:, 2], 0)
    # Neighbouring triangles are near each other in the file's order, so strata of the running sum spread well.
    steps = np.cumsum(area) / area.sum()
    chosen = np.minimum(np.searchsorted(steps, (np.arange(count) + 0.5) / count), len(triangles) - 1)
    k = np.arange(count)
    u, v = (k * 0.7548776662466927) % 1, (k * 0.5698402909980532) % 1  # the R2 sequence
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    return chosen, np.stack([1 - u - v, u, v], 1)


def _operators(
    vertices: np.ndarray, triangles: np.ndarray, chosen: np.ndarray, barycentric: np.ndarray
) -> tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]:
    """Three (N, V) matrices: position, and the derivatives along two tangent directions of the mean surface.

    The derivative is that of the piecewise linear function on the triangles, averaged over the triangles around
    each corner by area and then over the corners by barycentric weight.
    """
    count, corners = len(chosen), triangles[chosen]
    shape = (count, len(vertices))
    rows = np.repeat(np.arange(count), 3)
    position = sparse.csr_matrix((barycentric.ravel(), (rows, corners.ravel())), shape=shape)

    p = vertices[triangles]  # (T, 3, 3)
    cross = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    double_area = np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-9)
    unit = cross / double_area
    # Gradient of the hat function of corner i: unit normal x opposite edge / double area.
    gradient = np.stack([np.cross(unit, p[:, (i + 2) % 3] - p[:, (i + 1) % 3]) for i in range(3)], 1)
    gradient /= double_area[:, None]

    index = np.arange(len(triangles))
    ring = sparse.csr_matrix(
        (np.repeat(double_area[:, 0], 3), (triangles.ravel(), np.repeat(index, 3))),
        shape=(len(vertices), len(triangles)),
    )
    ring = sparse.diags(1 / np.maximum(np.asarray(ring.sum(1)).ravel(), 1e-12)) @ ring
    around = position @ ring  # (N, T) weights of the triangles around each sample
    normal = around @ unit
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    helper = np.where(np.abs(normal[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]])
    u = np.cross(helper, normal)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(normal, u)

    # Per axis, (T, V) operators of the gradient; a sample's derivative is their combination along u or v.
    axes = [
        around
        @ sparse.csr_matrix(
            (gradient[..., k].ravel(), (np.repeat(index, 3), triangles.ravel())), shape=(len(triangles), len(vertices))
        )
        for k in range(3)
    ]
    along = lambda d: sum(sparse.diags(d[:, k]) @ axes[k] for k in range(3)).tocsr()  # noqa: E731
    return position, along(u), along(v)
