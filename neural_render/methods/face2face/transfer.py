"""Expressions from one face to another by what they do to its triangles, in the subspace of the other's expressions.

Deformation transfer (Sumner and Popovic, SIGGRAPH 2004) as Face2Face has it (Thies et al., CVPR 2016, section 6): the
coefficients whose edges are nearest to the target's own edges under the source's deformation. What depends on the
target alone is worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facemodel.base import FaceModel


def edges(points: Tensor, triangles: Tensor) -> Tensor:
    """(..., T, 3, 2): two edges of each triangle, from its first corner, as columns; points (..., V, 3)."""
    first, second, third = (points.index_select(-2, corner) for corner in triangles.unbind(-1))
    return torch.stack([second - first, third - first], -1)


def frames_of(edge: Tensor) -> Tensor:
    """(..., T, 3, 3): the edges (..., T, 3, 2), and their normal, as long as the root of its own length."""
    normal = torch.linalg.cross(edge[..., 0], edge[..., 1], dim=-1)
    normal = normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-12).sqrt()
    return torch.cat([edge, normal[..., None]], -1)


@dataclass(frozen=True)
class DeformationTransfer:
    """From a source's neutral shape to a target's expressions.

    ``of`` prepares; a call is a product of a (E, 6 T) matrix with the source's deformation.
    """

    triangles: Tensor  # (T, 3) int64, those that are looked at
    inverse: Tensor  # (T, 3, 3) of the source's neutral frames
    neutral: Tensor  # (T, 3, 2) mm, the target's neutral edges
    solver: Tensor  # (E, 6 T): the pseudo-inverse of the edges of the target's expressions
    rest: Tensor  # (E,) the target's neutral expression

    @classmethod
    def of(
        cls,
        model: FaceModel,
        source: Tensor,  # (V, 3) mm, model frame: the source's neutral shape
        identity: Tensor,  # (I,) of the target
        rest: Tensor,  # (E,) of the target: its neutral expression
        region: str = "face",
        damping: float = 1e-6,  # of the mean square of an expression's edges
    ) -> DeformationTransfer:
        """triangles of ``region`` count; all, where the model doesn't know it."""
        inside = model.region(region)
        triangles = model.triangles[inside[model.triangles].all(-1)] if inside.any() else model.triangles
        joints = model.blocks["joints"].mean if model.count("joints") else identity.new_zeros(0)
        at_rest = model.linearize(identity, rest, joints)
        basis = edges(at_rest.expression, triangles).flatten(1).double()  # (E, 6 T)
        normal = basis @ basis.T
        normal = normal + damping * normal.diagonal().mean() * torch.eye(len(normal), dtype=normal.dtype)
        solver = torch.linalg.solve(normal, basis)
        inverse = torch.linalg.inv(frames_of(edges(source, triangles)).double())
        return cls(triangles, inverse.float(), edges(at_rest.vertices, triangles), solver.float(), rest)

    def gradients(self, deformed: Tensor) -> Tensor:
        """(..., T, 3, 3): what takes the source's neutral triangles to those of its ``deformed`` shape (..., V, 3)."""
        return frames_of(edges(deformed, self.triangles)) @ self.inverse

    def __call__(self, deformed: Tensor) -> Tensor:
        """(..., E): the target's expression, not clamped, that is nearest to the source's shape (..., V, 3)."""
        wanted = self.gradients(deformed) @ self.neutral - self.neutral
        return self.rest + wanted.flatten(-3) @ self.solver.T
