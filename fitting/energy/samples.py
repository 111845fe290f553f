"""Points fixed on a model's surface: position and a smooth normal from nine numbers that are linear in the vertices.

The photometric term compares colours at some thousand surface points. For each of them the solver needs a position and
a normal, for every iteration of every frame. Both come from nine numbers: the position and two tangents (averaged over
the triangles around, so that the normal is smooth). Gathering the bases' rows for those nine numbers makes a frame's
geometry and its whole Jacobian one small matrix product, without touching the mesh (`fitting.energy.surface`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.combinations import gather


@dataclass(frozen=True)
class SurfaceSamples:
    """N points. Rows of nine: position, tangent u, tangent v, each x y z in the model frame; normal = u x v."""

    positions: Tensor  # (N, 3) mm, on the mean surface
    albedo_mean: Tensor  # (N, 3) linear RGB
    albedo: Tensor  # (N, 3, A)
    operators: tuple[sparse.csr_matrix, ...]  # three (N, V): position, derivatives along u and v

    def __len__(self) -> int:
        return len(self.positions)

    def every(self, step: int) -> SurfaceSamples:
        """Each ``step``-th point: they are as evenly spread as all are."""
        tensors = (t[::step].contiguous() for t in (self.positions, self.albedo_mean, self.albedo))
        return SurfaceSamples(*tensors, tuple(op[::step] for op in self.operators))

    @property
    def rows(self) -> sparse.csr_matrix:
        """(3 N, V): the operators' rows, point by point."""
        count = len(self)
        order = np.arange(3 * count).reshape(3, count).T.ravel()
        return sparse.vstack(self.operators).tocsr()[order]

    def gather(self, values: Tensor) -> Tensor:
        """Any attribute of the vertices, or derivatives of one, (..., V, 3), to (N, 9, ...)."""
        return _gathered(self.operators, values)


def surface_samples(model: FaceModel, count: int, regions: Sequence[str] = ("skin", "lips")) -> SurfaceSamples:
    """``count`` points spread evenly over the face's triangles that lie wholly in ``regions``.

    The skin of others' models goes over the scalp, where people have hair, and down the neck. Where the model knows
    none of the regions: over all triangles that face away from the head's middle.
    """
    mean = model.mean.cpu().double().numpy()
    triangles = model.triangles.cpu().numpy()
    mask, face = torch.stack([model.region(name) for name in regions]).any(0), model.region("face")
    mask = (mask & face if (mask & face).any() else mask).cpu().numpy()
    inside = np.flatnonzero(mask[triangles].all(1))
    if not len(inside):
        a, b, c = (mean[triangles[:, k]] for k in range(3))
        outwards = (a + b + c) / 3 - (mean.min(0) + mean.max(0)) / 2
        inside = np.flatnonzero((np.cross(b - a, c - a) * outwards).sum(1) > 0)
    chosen, barycentric = _spread(mean, triangles[inside], count)
    operators = _operators(mean, triangles, inside[chosen], barycentric)
    reflectance = model.reflectance
    colours = _gathered(operators[:1], model.albedo())
    basis = colours.new_zeros(count, 3, 0) if reflectance is None else _gathered(operators[:1], reflectance.basis)
    return SurfaceSamples(_gathered(operators[:1], model.mean), colours, basis, operators)


def _gathered(operators: tuple[sparse.csr_matrix, ...], values: Tensor) -> Tensor:
    """(..., V, 3) to (N, 3 an operator, ...)."""
    return torch.cat([gather(op, values) for op in operators], 1)


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
