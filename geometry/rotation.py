"""Rotations as axis-angle vectors and matrices, by PyTorch3D; exact and differentiable at zero and at half turns.

Everybody takes them from here, so that the project has one convention: columns are turned, x' = R x, radians,
right-handed. Only `pytorch3d.transforms` is imported, which is plain torch and loads in milliseconds.
"""

from __future__ import annotations

from pytorch3d.transforms import axis_angle_to_matrix, matrix_to_axis_angle
from torch import Tensor


def rotation_matrix(axis_angle: Tensor) -> Tensor:
    """Axis-angle (..., 3) radians -> rotation matrices (..., 3, 3).

    Forward differentiation (`torch.func.jacfwd`) gives double precision, whatever comes in.
    """
    # Not ``fast=True``: its derivatives are wrong by 1e-4 at angles of 1e-4 in single precision.
    return axis_angle_to_matrix(axis_angle)


def axis_angle(matrix: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) -> axis-angle (..., 3) radians, of length at most pi."""
    return matrix_to_axis_angle(matrix)
