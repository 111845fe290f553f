"""Rotations as axis-angle vectors and matrices, exact and differentiable at zero and at half turns.

Everybody takes them from here, so that the project has one convention: columns are turned, x' = R x, radians,
right-handed. PyTorch3D's `transforms` are the reference in the tests rather than what is called: its derivatives near
zero aren't good enough for a solver (see `rotation_matrix`), and its way back from matrices rounds steps between frames
otherwise, by which fits differ from earlier ones in the fourth digit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def rotation_matrix(axis_angle: Tensor) -> Tensor:
    """Axis-angle (..., 3) radians -> rotation matrices (..., 3, 3).

    Rodrigues' formula, as its series near zero. Not PyTorch3D's: forward differentiation through its quaternions gives
    double precision to single, which joints (`FaceModel.linearize`) then can't be multiplied with, and the derivatives
    of its ``fast`` variant are wrong by 1e-4 at angles of 1e-4.
    """
    if axis_angle.shape == (1, 3) and _compiled(axis_angle):
        return _one_matrix(axis_angle)
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
    """Rotation matrices (..., 3, 3) -> axis-angle (..., 3) radians, of length at most pi.

    Goes through the quaternion component that is largest, so that half turns are as exact as small ones.
    """
    if matrix.numel() == 9 and _compiled(matrix):
        return _one_vector(matrix)
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrix.flatten(-2).unbind(-1)
    xy, yz, xz = m01 + m10, m12 + m21, m02 + m20
    dx, dy, dz = m21 - m12, m02 - m20, m10 - m01
    w2, x2, y2, z2 = 1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22
    # Row k is the quaternion (w, x, y, z) times four times its component k.
    rows = torch.stack([w2, dx, dy, dz, dx, x2, xy, xz, dy, xy, y2, yz, dz, xz, yz, z2], -1)
    rows = rows.view(*w2.shape, 4, 4)
    largest = torch.stack([w2, x2, y2, z2], -1).argmax(-1)
    row = rows.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    row = row * torch.where(row[..., :1] < 0, -1.0, 1.0)
    w, vector = row[..., 0], row[..., 1:]
    squared = (vector * vector).sum(-1)
    tiny = squared < 1e-12 * w * w
    length = torch.where(tiny, torch.ones_like(squared), squared).sqrt()
    scale = torch.where(tiny, 2 / torch.where(tiny, w, torch.ones_like(w)), 2 * torch.atan2(length, w) / length)
    return vector * scale[..., None]


def _compiled(values: Tensor) -> bool:
    """Whether the compiled kernels may be called: in single precision on the CPU, where nothing is differentiated."""
    return torch.is_inference_mode_enabled() and values.device.type == "cpu" and values.dtype == torch.float32


def _one_matrix(axis_angle: Tensor) -> Tensor:
    from geometry import rotation_kernel as kernel

    vector, angles, out = axis_angle[0].numpy(), torch.empty(2), torch.empty(1, 3, 3)
    kernel.squared_length(vector, angles.numpy())
    angles[:1].sqrt_()
    torch.div(angles[:1], 2, out=angles[1:])
    kernel.rotation_matrix(vector, angles.numpy(), angles.sin().numpy(), out[0].numpy())
    return out


def _one_vector(matrix: Tensor) -> Tensor:
    from geometry import rotation_kernel as kernel

    out, quaternion, squared = torch.empty(*matrix.shape[:-2], 3), np.empty(4, np.float32), torch.empty(1)
    kernel.quaternion(matrix.reshape(3, 3).numpy(), quaternion, squared.numpy())
    kernel.axis_angle(quaternion, squared.numpy(), squared.sqrt().numpy(), out.view(3).numpy())
    return out
