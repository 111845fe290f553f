"""Linear maps with a constant, by least squares."""

from __future__ import annotations

import torch
from torch import Tensor


def linear_map(x: Tensor, y: Tensor, ridge: float = 1e-3) -> Tensor:
    """(A + 1, B), the constant last: the map from x (N, A) to y (N, B) of least squares.

    ridge: weight of the map's squares, of each x in its standard deviations; it decides where x says things twice.
    """
    mean, std = x.mean(0), x.std(0).clamp_min(1e-8)
    z = (x - mean) / std
    slope = torch.linalg.solve(z.T @ z / len(z) + ridge * torch.eye(z.shape[1]).to(z), z.T @ (y - y.mean(0)) / len(z))
    slope = slope / std[:, None]
    return torch.cat([slope, (y.mean(0) - mean @ slope)[None]])


def applied(linear: Tensor, x: Tensor) -> Tensor:
    """(N, B) of x (N, A)."""
    return x @ linear[:-1] + linear[-1]
