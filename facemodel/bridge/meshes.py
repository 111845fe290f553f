"""A model with another mesh: vertices that are added, triangles that are cut, and everything that lies on them.

New vertices are affine in old ones, so that identities and expressions move them as they move what is around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facemodel.bilinear import BilinearModel
from facemodel.bridge.surface import Surface
from facemodel.linear import LinearModel

OF_VERTICES = {  # tensors that have a row a vertex, and along which dimension
    "mean": 0, "identity_basis": 1, "expression_basis": 1, "albedo_mean": 0, "albedo_basis": 1, "region_masks": 1,
    "skinning_weights": 0, "pose_correctives": 1, "vertex_factor": 1, "added_mean": 0, "added_identity": 1,
    "added_expression": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Remeshing:
    """Another mesh of the same surface. The old vertices come first, in their order."""

    vertices: sparse.csr_matrix  # (V', V) rows of weights that add up to 1
    offset: np.ndarray  # (V', 3) mm, from where these put the vertices
    triangles: np.ndarray  # (T', 3)
    parents: np.ndarray  # (T',) the old triangle that each lies in
    barycentric: np.ndarray  # (T', 3, 3) of each corner, in its parent


def remeshed(model: LinearModel, new: Remeshing) -> LinearModel:
    """The model on another mesh."""
    tensors = with_additions(model) if isinstance(model, BilinearModel) else model.flatten()
    for name, axis in OF_VERTICES.items():
        if name in tensors:
            tensors[name] = _weighted(new.vertices, tensors[name], axis)
    for name in ("mean", "added_mean"):
        if name in tensors:
            tensors[name] = tensors[name] + torch.from_numpy(new.offset).float()
    tensors["triangles"] = torch.from_numpy(new.triangles)
    if "uv" in tensors:
        corners = tensors["uv"].double().numpy()[tensors["uv_triangles"].numpy()[new.parents]]
        placed = (new.barycentric @ corners).reshape(-1, 2)
        flat, index = np.unique(np.round(placed, 7), axis=0, return_inverse=True)
        tensors |= {"uv": torch.from_numpy(flat), "uv_triangles": torch.from_numpy(index.reshape(-1, 3))}
    surface = Surface(tensors["mean"].double().numpy(), new.triangles)
    for scheme in model.embeddings:
        at = surface.nearest(model.landmarks(model.mean, scheme).double().numpy())
        tensors[f"landmark_triangles_{scheme}"] = torch.from_numpy(at.triangles)
        tensors[f"landmark_barycentric_{scheme}"] = torch.from_numpy(at.barycentric)
    return model.rebuilt(tensors)


def _weighted(matrix: sparse.csr_matrix, values: Tensor, axis: int) -> Tensor:
    moved = values.double().movedim(axis, 0)
    made = torch.from_numpy(matrix @ moved.flatten(1).numpy() if moved.dim() > 1 else matrix @ moved.numpy())
    made = made.reshape(matrix.shape[0], *moved.shape[1:]).movedim(0, axis)
    return made > 0.5 if values.dtype == torch.bool else made.to(values.dtype)


def pushed_in(model: LinearModel, polygon: np.ndarray, near: np.ndarray, floor) -> tuple[Remeshing, np.ndarray]:
    """The mesh with what lies, seen from the front, within a polygon (P, 2) mm, pushed back into a pocket.

    Triangles across the polygon's edge are cut there. What is inside is doubled first, so that the model's own vertices
    stay where they are.

    Args:
        near: (T,) bool, the triangles that may be pushed in.
        floor: from points (N, 2) to the z that they're pushed back to, mm; those that are behind it stay.

    Returns:
        The mesh, and the vertices of the pocket (V',) bool, its edge left out.
    """
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    depth = inside_by(vertices[:, :2], polygon)
    rows: list[tuple[int, int, float]] = []  # of new vertices: two old ones, and the second one's share
    made: dict[tuple[int, int], int] = {}

    def vertex(a: int, b: int, share: float) -> int:
        if (a, b) not in made:
            made[a, b] = len(vertices) + len(made)
            rows.append((a, b, share))
        return made[a, b]

    kept, parents, bary = [], [], []

    def fan(ring: list[tuple[int, np.ndarray]], parent: int) -> None:
        for k in range(1, len(ring) - 1):
            corners = [ring[0], ring[k], ring[k + 1]]
            kept.append([v for v, _ in corners])
            bary.append(np.stack([w for _, w in corners]))
            parents.append(parent)

    touched = near & (depth[triangles] > 0).any(1)
    for t in np.flatnonzero(touched):
        outer, inner = [], []
        corners = triangles[t].tolist()
        for k, a in enumerate(corners):
            b, here, there = corners[(k + 1) % 3], np.eye(3)[k], np.eye(3)[(k + 1) % 3]
            if depth[a] > 0:
                inner.append((vertex(a, a, 0.0), here))
            else:
                outer.append((a, here))
            if (depth[a] > 0) != (depth[b] > 0):
                low, high = min(a, b), max(a, b)
                share = depth[low] / (depth[low] - depth[high])
                cut = (vertex(low, high, share), (1 - share) * (here if a == low else there)
                       + share * (there if a == low else here))  # fmt: skip
                outer.append(cut)
                inner.append(cut)
        fan(outer, t)
        fan(inner, t)
    rest = np.flatnonzero(~touched)
    weights = np.array([[1 - s, s] for _, _, s in rows]).reshape(-1, 2)
    columns = np.array([[a, b] for a, b, _ in rows], dtype=np.int64).reshape(-1, 2)
    index = np.repeat(np.arange(len(rows)), 2)
    more = sparse.csr_matrix((weights.ravel(), (index, columns.ravel())), (len(rows), len(vertices)))
    matrix = sparse.vstack([sparse.identity(len(vertices), format="csr"), more]).tocsr()
    pocket = np.r_[np.zeros(len(vertices), dtype=bool), columns[:, 0] == columns[:, 1]]
    offset = np.zeros((len(pocket), 3))
    inside = vertices[columns[pocket[len(vertices) :], 0]]
    offset[pocket, 2] = np.minimum(floor(inside[:, :2]) - inside[:, 2], 0)
    remeshing = Remeshing(
        matrix,
        offset,
        np.concatenate([triangles[rest], np.array(kept, dtype=np.int64).reshape(-1, 3)]),
        np.concatenate([rest, np.array(parents, dtype=np.int64)]),
        np.concatenate([np.broadcast_to(np.eye(3), (len(rest), 3, 3)), np.array(bary).reshape(-1, 3, 3)]),
    )
    return remeshing, pocket


def inside_by(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) how far (N, 2) points are inside a polygon (P, 2); negative outside."""
    a, b = polygon, np.roll(polygon, -1, 0)
    along = b - a
    share = ((points[:, None] - a) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = a + share.clip(0, 1)[..., None] * along
    distance = np.linalg.norm(points[:, None] - nearest, axis=-1).min(1)
    x, y = points[:, None, 0], points[:, None, 1]
    between = (a[:, 1] > y) != (b[:, 1] > y)
    slope = np.divide(along[:, 0], along[:, 1], out=np.zeros(len(a)), where=np.abs(along[:, 1]) > 1e-12)
    crossed = between & (x < a[:, 0] + (y - a[:, 1]) * slope)
    return np.where(crossed.sum(1) % 2 == 1, distance, -distance)


@dataclass(frozen=True)
class Part:
    """A piece of surface to be added: K vertices that move with identity, and with nothing else."""

    mean: Tensor  # (K, 3) mm
    identity_basis: Tensor  # (I, K, 3)
    triangles: Tensor  # (S, 3) into them
    albedo_mean: Tensor | None = None  # (K, 3), where the model has a reflectance
    albedo_basis: Tensor | None = None  # (A, K, 3)
    uv: Tensor | None = None  # (S, 3, 2) a corner, where it has an atlas
    joint: int | None = None  # the joint that carries it, where it has joints


def with_part(model: LinearModel, part: Part) -> tuple[LinearModel, Tensor]:
    """The model with a part more, and the indices (K,) of its vertices."""
    tensors, count, more = model.flatten(), len(model.mean), len(part.mean)
    given = {"mean": part.mean, "identity_basis": part.identity_basis}
    if isinstance(model, BilinearModel):
        tensors = with_additions(model)
        given |= {"added_mean": part.mean, "added_identity": part.identity_basis}
    if model.reflectance is not None:
        given |= {"albedo_mean": part.albedo_mean, "albedo_basis": part.albedo_basis}
    for name, axis in OF_VERTICES.items():
        if name in tensors:
            shape = list(tensors[name].shape)
            shape[axis] = more
            new = given.get(name)
            new = torch.zeros(shape) if new is None else new
            if name == "skinning_weights":
                new = torch.zeros(shape)
                new[:, part.joint or 0] = 1
            tensors[name] = torch.cat([tensors[name], new.to(tensors[name])], axis)
    tensors["triangles"] = torch.cat([tensors["triangles"], part.triangles + count])
    if "uv" in tensors:
        first = len(tensors["uv"])
        tensors["uv"] = torch.cat([tensors["uv"], part.uv.flatten(0, 1)])
        new = first + torch.arange(3 * len(part.triangles)).unflatten(0, (-1, 3))
        tensors["uv_triangles"] = torch.cat([tensors["uv_triangles"], new])
    return model.rebuilt(tensors), torch.arange(count, count + more)


def with_additions(model: BilinearModel) -> dict[str, Tensor]:
    """A bilinear model's tensors with the linear ones that are added to its Tucker form, of nothing at first."""
    nothing = {
        "added_mean": torch.zeros_like(model.mean),
        "added_identity": torch.zeros_like(model.identity_basis),
        "added_expression": torch.zeros_like(model.expression_basis),
    }
    return {k: v.cpu() for k, v in nothing.items()} | model.flatten()
