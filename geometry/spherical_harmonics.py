"""Diffuse shading by nine spherical-harmonics coefficients a colour channel.

Normals are in the camera-aligned model axes: x to the right of the picture, y up, z towards the viewer.
The coefficients are in irradiance form, the factors of the cosine lobe folded in (Ramamoorthi and Hanrahan,
"An Efficient Representation for Irradiance Environment Maps", 2001), so that

    radiance = albedo * (sh_basis(normal) @ illumination).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Constants of the real, orthonormal spherical harmonics up to the second band.
C0 = 0.28209479177387814  # 1
C1 = 0.4886025119029199  # y, z, x
C2 = 1.0925484305920792  # xy, yz, xz
C3 = 0.31539156525252005  # 3 z^2 - 1
C4 = 0.5462742152960396  # x^2 - y^2
BASIS_CONSTANTS = torch.tensor([C0, C1, C1, C1, C2, C2, C3, C2, C4])[:, None]
"""(9, 1): what the polynomials are multiplied by, in the order of ``sh_basis``."""

COSINE_LOBE = (1.0, 2.0 / 3.0, 1.0 / 4.0)
"""Factor a band from radiance to irradiance coefficients, divided by pi, so that a constant radiance of 1
gives a white surface (albedo 1) the radiance 1."""


def sh_basis(normals: Tensor) -> Tensor:
    """The nine basis functions at unit normals (..., 3) -> (..., 9).

    Order: 1; y, z, x; xy, yz, 3z^2-1, xz, x^2-y^2.
    """
    x, y, z = normals.unbind(-1)
    return torch.stack(
        [
            torch.full_like(x, C0),
            C1 * y,
            C1 * z,
            C1 * x,
            C2 * x * y,
            C2 * y * z,
            C3 * (3 * z * z - 1),
            C2 * x * z,
            C4 * (x * x - y * y),
        ],
        dim=-1,
    )


def shade(albedo: Tensor, normals: Tensor, illumination: Tensor) -> Tensor:
    """Diffusely reflected light, linear RGB (..., P, 3), not clamped.

    Args:
        albedo: (..., P, 3) linear RGB.
        normals: (..., P, 3) unit, camera-aligned model axes.
        illumination: (..., 9, 3) irradiance coefficients a channel; leading dimensions broadcast.
    """
    return albedo * (sh_basis(normals) @ illumination)


def sh_basis_gradient(normals: Tensor) -> Tensor:
    """(..., 3) -> (..., 9, 3): d basis_k / d normal_j of `sh_basis`, as polynomials in x, y, z."""
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
