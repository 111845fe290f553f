"""Which point of one model's surface is which of another's: what registration finds and the model file keeps.

Everything between models goes by it: expressions, colours, regions, texture coordinates, landmarks that are carried
over at import, and tracks that are converted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CORRESPONDING = 0.5
"""Weight from which on a point counts as having a counterpart."""


@dataclass(frozen=True)
class Placement:
    """N points on a mesh: a triangle, weights of its corners, and whether the point is there at all."""

    triangles: Tensor  # (N,) int64
    barycentric: Tensor  # (N, 3)
    weights: Tensor  # (N,) 0 to 1: 0 where the other surface has no such part, and the place is merely the nearest

    def pick(self, values: Tensor, triangles: Tensor) -> Tensor:
        """Attributes (..., V, C) of the mesh's vertices, at the points: (..., N, C). ``triangles``: the mesh's."""
        corners = triangles[self.triangles]
        picked = values.index_select(-2, corners.flatten()).unflatten(-2, corners.shape)
        return (picked * self.barycentric[..., None]).sum(-2)

    def to(self, device: str | torch.device) -> Placement:
        return Placement(self.triangles.to(device), self.barycentric.to(device), self.weights.to(device))


@dataclass(frozen=True)
class Correspondence:
    """Between the default model's surface (V0 vertices, T0 triangles) and a model's own (V, T).

    It holds for all coefficients: a vertex of one is that point of the other whatever identity and expression are.
    """

    fingerprint: str  # of the default model that was registered
    on_default: Placement  # where the model's V own vertices are on the default model
    on_model: Placement  # where the default model's V0 vertices are on this one
    registered: Tensor  # (V0, 3) mm, model frame: the default model's vertices laid onto the model's mean

    def tensors(self) -> dict[str, Tensor]:
        """As `facemodel.linear.LinearModel` is made of them."""
        parts = {"on_default": self.on_default, "on_model": self.on_model}
        named = {f"correspondence_{on}_{k}": v for on, place in parts.items() for k, v in vars(place).items()}
        return named | {"correspondence_registered": self.registered}

    def matched(self) -> Tensor:
        """(V,) bool: the model's vertices that the default model has, too."""
        return self.on_default.weights >= CORRESPONDING
