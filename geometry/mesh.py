"""Surface normals of a triangle mesh."""

from __future__ import annotations

import torch
from torch import Tensor


def vertex_normals(
    vertices: Tensor,  # (..., V, 3) any unit
    triangles: Tensor,  # (T, 3) int64, counter-clockwise seen from outside
) -> Tensor:
    """Unit normals (..., V, 3), pointing outside: the mean of the faces around a vertex, weighted by area.

    Differentiable. A vertex of no triangle, or of degenerate ones alone, gets the zero vector.
    """
    a, b, c = (vertices.index_select(-2, triangles[:, k]) for k in range(3))
    faces = torch.linalg.cross(b - a, c - a, dim=-1)
    normals = torch.zeros_like(vertices)
    for k in range(3):
        normals = normals.index_add(-2, triangles[:, k], faces)
    return torch.nn.functional.normalize(normals, dim=-1, eps=1e-12)
