"""Rotations as axis-angle vectors and matrices, exact and differentiable at zero and at half turns.

Everybody takes them from here, so that the project has one convention: columns are turned, x' = R x, radians,
right-handed. Of PyTorch3D only `pytorch3d.transforms` is imported, which is plain torch and loads in milliseconds.
"""

from __future__ import annotations

import torch
from pytorch3d.transforms import matrix_to_axis_angle
from torch import Tensor


def rotation_matrix(axis_angle: Tensor) -> Tensor:
    """Axis-angle (..., 3) radians -> rotation matrices (..., 3, 3).

    Rodrigues' formula, as its series near zero. Not PyTorch3D's: forward differentiation through its quaternions gives
    double precision to single, which joints (`FaceModel.linearize`) then can't be multiplied with, and the derivatives
    of its ``fast`` variant are wrong by 1e-4 at angles of 1e-4.
    """
    squared = (axis_angle * axis_angle).sum(-1)
    small = squared < 1e-6  # the series' next terms are below 1e-14 there
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    half = torch.sin(angle / 2)
    a = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)[..., None, None]
    b = torch.where(small, 0.5 - squared / 24, 2 * half * half / (angle * angle))[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + a * cross + b * (cross @ cross)


def axis_angle(matrix: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) -> axis-angle (..., 3) radians, of length at most pi; by PyTorch3D."""
    return matrix_to_axis_angle(matrix)
