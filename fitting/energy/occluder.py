"""The mesh that hides what is behind it: a model's own, thinned out where it's finer than any depth buffer here.

Enters a model, leaves a mesh of some thousand vertices, whatever the model has; `fitting.energy.visibility` and
`fitting.energy.gaze` draw it for every frame. Vertices that lie in one cell of a grid and hang together within it
become one of them. So lips and lids, which touch without hanging together, stay apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from facemodel.base import FaceModel
from fitting.policy.settings import Thinning


@dataclass(frozen=True)
class Occluder:
    """Some of a model's vertices, and triangles between them."""

    vertices: Tensor  # (V',) int64, of the model's
    triangles: Tensor  # (T', 3) int64, into those

    def rows(self, vertices: int) -> sparse.csr_matrix:
        """(V', V): which of so many vertices they are."""
        return sparse.eye(vertices, format="csr")[self.vertices.cpu().numpy()]


def occluder(model: FaceModel, policy: Thinning) -> Occluder:
    """The whole mesh of a model that has no more vertices than ``policy.most``."""
    device = model.mean.device
    if len(model.mean) <= policy.most:
        return Occluder(torch.arange(len(model.mean), device=device), model.triangles)
    points, triangles = model.mean.cpu().double().numpy(), model.triangles.cpu().numpy()
    near = np.zeros(len(points), bool)
    if model.eyes is not None:
        for centre in model.eye_centers().cpu().double().numpy():
            near |= np.linalg.norm(points - centre, axis=1) < policy.about_eyes
    cells = np.floor(points / np.where(near, policy.fine, policy.coarse)[:, None]).astype(np.int64)
    _, cell = np.unique(np.column_stack([near, cells]), axis=0, return_inverse=True)
    cell = cell.ravel()
    a, b = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).T
    inside = cell[a] == cell[b]
    joined = sparse.coo_matrix((np.ones(inside.sum()), (a[inside], b[inside])), shape=(len(points),) * 2)
    count, label = connected_components(joined, directed=False)
    middle = np.stack([np.bincount(label, points[:, k], count) for k in range(3)], 1) / np.bincount(label)[:, None]
    order = np.lexsort((np.linalg.norm(points - middle[label], axis=1), label))
    chosen = order[np.unique(label[order], return_index=True)[1]]  # the vertex next to the middle of each
    mapped = label[triangles]
    whole = (mapped != np.roll(mapped, 1, 1)).all(1)
    used, faces = np.unique(mapped[whole], return_inverse=True)
    tensor = lambda x: torch.as_tensor(x, dtype=torch.int64, device=device)  # noqa: E731
    return Occluder(tensor(chosen[used]), tensor(faces.reshape(-1, 3)))
