"""What a step of a conversion is made of: what is known of coefficients, how points move by them and by the pose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facemodel.base import Block

POSE = 6  # a rotation about the model's axes, a shift along them


@dataclass(frozen=True)
class Prior:
    """What is known of K coefficients before points are looked at; in double."""

    lower: Tensor  # (K,)
    upper: Tensor
    mean: Tensor
    std: Tensor
    held: Tensor  # (K,) bool: they stay as they are

    @classmethod
    def of(cls, *blocks: Block) -> Prior:
        parts = [torch.cat([getattr(b, p).double() for b in blocks]) for p in ("lower", "upper", "mean", "std")]
        return cls(*parts, torch.zeros(len(parts[0]), dtype=torch.bool))


@dataclass(frozen=True)
class Basis:
    """Derivatives of N points by K coefficients, each times the root of the point's weight."""

    rows: Tensor  # (3 N, K)
    squared: Tensor  # (K, K): rows' rows

    @classmethod
    def of(cls, slopes: Tensor, weights: Tensor) -> Basis:
        rows = (slopes.double() * weights.sqrt()[:, None, None]).flatten(0, 1)
        return cls(rows, rows.T @ rows)


def pose_slopes(points: Tensor) -> Tensor:
    """(N, 3, 6): how points (N, 3) move in the model's frame, while they are held in the other, as its pose moves.

    A turn w of the model's own frame, and a shift along its axes.
    """
    zero = torch.zeros_like(points[:, 0])
    x, y, z = points.unbind(1)
    turned = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).view(-1, 3, 3)  # w x point
    return torch.cat([turned, torch.eye(3, dtype=points.dtype).expand(len(points), 3, 3)], -1)


def rigid(points: Tensor, wanted: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (3, 3) and shift (3,) that lay points onto wanted ones (Kabsch)."""
    w = (weights / weights.sum())[:, None]
    a, b = (w * points).sum(0), (w * wanted).sum(0)
    u, _, v = torch.linalg.svd(((points - a) * w).T @ (wanted - b))
    sign = torch.diag(torch.tensor([1.0, 1.0, float(torch.det(v.T @ u.T).sign())], dtype=points.dtype))
    turn = v.T @ sign @ u.T
    return turn, b - turn @ a
