"""Derivative of the spherical-harmonics basis by the normal."""

from __future__ import annotations

import torch
from torch import Tensor

from renderer.lighting import C1, C2, C3, C4


def sh_basis_gradient(normals: Tensor) -> Tensor:
    """(..., 3) -> (..., 9, 3): d basis_k / d normal_j of `renderer.lighting.sh_basis`, as polynomials in x, y, z."""
    x, y, z = normals.unbind(-1)
    o = torch.zeros_like(x)
    one = torch.ones_like(x)
    rows = [
        (o, o, o),
        (o, C1 * one, o),
        (o, o, C1 * one),
        (C1 * one, o, o),
        (C2 * y, C2 * x, o),
        (o, C2 * z, C2 * y),
        (o, o, 6 * C3 * z),
        (C2 * z, o, C2 * x),
        (2 * C4 * x, -2 * C4 * y, o),
    ]
    return torch.stack([torch.stack(r, -1) for r in rows], -2)
