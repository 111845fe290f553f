"""Compiled CPU kernels of one rotation; the references in plain torch are in `geometry.rotation`.

A video's solver turns a head back and forth some ten times a frame, and each call of torch takes as long as the whole
of one of these functions. They repeat the references' arithmetic line by line and give the same bits; roots and sines
stay torch's, which rounds them in its own way. Imported only where they're used, since Numba takes a while to import.
"""

from __future__ import annotations

import math

import numpy as np

from foundation.compiled import jit

F = np.float32
ZERO, HALF, ONE, TWO, SIX, MANY = F(0), F(0.5), F(1), F(2), F(6), F(24)
SMALL, TINY = F(1e-6), F(1e-12)


@jit
def squared_length(vector, out):
    """Fills (1,) with the squared length of an axis-angle vector (3,), with 1 where that is small."""
    squared = vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]
    out[0] = ONE if squared < SMALL else squared


@jit
def rotation_matrix(vector, angles, sines, out):
    """Fills (3, 3); ``angles`` (2,) are the root of what `squared_length` gave, and half of it."""
    x, y, z = vector[0], vector[1], vector[2]
    squared = x * x + y * y + z * z
    if squared < SMALL:
        a, b = ONE - squared / SIX, HALF - squared / MANY
    else:
        a, b = sines[0] / angles[0], TWO * sines[1] * sines[1] / (angles[0] * angles[0])
    cross = np.empty((3, 3), np.float32)
    cross[0, 0] = cross[1, 1] = cross[2, 2] = ZERO
    cross[0, 1], cross[0, 2], cross[1, 0] = -z, y, z
    cross[1, 2], cross[2, 0], cross[2, 1] = -x, -y, x
    for i in range(3):
        for j in range(3):
            twice = cross[i, 0] * cross[0, j] + cross[i, 1] * cross[1, j] + cross[i, 2] * cross[2, j]
            out[i, j] = (ONE if i == j else ZERO) + a * cross[i, j] + b * twice


@jit
def quaternion(m, out, squared):
    """Fills (4,) with a multiple of the quaternion (w, x, y, z) of (3, 3), w >= 0, and (1,) with |(x, y, z)|^2."""
    xy, yz, xz = m[0, 1] + m[1, 0], m[1, 2] + m[2, 1], m[0, 2] + m[2, 0]
    dx, dy, dz = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    w2, x2 = ONE + m[0, 0] + m[1, 1] + m[2, 2], ONE + m[0, 0] - m[1, 1] - m[2, 2]
    y2, z2 = ONE - m[0, 0] + m[1, 1] - m[2, 2], ONE - m[0, 0] - m[1, 1] + m[2, 2]
    if w2 >= x2 and w2 >= y2 and w2 >= z2:
        w, x, y, z = w2, dx, dy, dz
    elif x2 >= y2 and x2 >= z2:
        w, x, y, z = dx, x2, xy, xz
    elif y2 >= z2:
        w, x, y, z = dy, xy, y2, yz
    else:
        w, x, y, z = dz, xz, yz, z2
    sign = -ONE if w < ZERO else ONE
    out[0], out[1], out[2], out[3] = w * sign, x * sign, y * sign, z * sign
    squared[0] = x * x + y * y + z * z


@jit
def axis_angle(quaternion, squared, length, out):
    """Fills (3,), of what `quaternion` gave; ``length`` (1,) is the root of ``squared`` (1,)."""
    w = quaternion[0]
    tiny = squared[0] < TINY * w * w
    scale = TWO / w if tiny else TWO * F(math.atan2(length[0], w)) / length[0]
    for k in range(3):
        out[k] = quaternion[k + 1] * scale
