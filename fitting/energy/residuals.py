"""What every term hands to the solver, and the geometry that terms share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geometry.camera import FLIP


@dataclass(frozen=True)
class Residuals:
    """Rows of one term: minimised is 1/2 sum of weight * value^2 over all rows."""

    value: Tensor  # (F, R)
    weight: Tensor  # (F, R)
    jacobian: Tensor  # (F, R, S + P), or (F, R, P) where the shared columns are left out
    by_detail: Tensor | None = None  # (F, R) derivative of the photometric rows by the sample's own albedo

    def weighted(self) -> Tensor:
        """(F, R, C + 1): rows times the root of their weight, the residual as the last column.

        One matrix product of such rows with themselves gives the normal equations' matrix, gradient and energy at once.
        """
        rows = torch.cat([self.jacobian, self.value[..., None]], -1)
        return rows * self.weight.sqrt()[..., None]


def flip(like: Tensor) -> Tensor:
    """(3,): what takes the model's axes to the camera's."""
    return torch.tensor(FLIP, dtype=like.dtype, device=like.device)


def projected(points: Tensor, focal: Tensor) -> Tensor:
    """Camera frame (F, N, 3) to px about the principal point (F, N, 2)."""
    return focal * points[..., :2] * (1 / points[..., 2])[..., None]


def projection(points: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
    """`projected`, and its derivative (F, N, 2, 3)."""
    inverse_z = 1 / points[..., 2]
    uv = projected(points, focal)
    zero = torch.zeros_like(inverse_z)
    fz = focal * inverse_z
    rows = [torch.stack([fz, zero, -uv[..., 0] * inverse_z], -1), torch.stack([zero, fz, -uv[..., 1] * inverse_z], -1)]
    return uv, torch.stack(rows, -2)


def compiled(like: Tensor) -> bool:
    """Whether a state's tensors can go through the compiled kernels: on the CPU, in single precision."""
    return like.device.type == "cpu" and like.dtype == torch.float32
