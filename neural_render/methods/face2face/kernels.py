"""Compiled passes over the pixels of a frame: what is moved is lit and laid over what is behind, in bytes."""

from __future__ import annotations

import numpy as np

from foundation.compiled import jit


@jit
def lit(taken, ratio, out):
    """Pixels (h, w, 3) uint8 times a ratio (h, w, 3) float32; out uint8."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(3):
                value = np.float32(taken[i, j, k]) * ratio[i, j, k] + np.float32(0.5)
                out[i, j, k] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))


@jit
def lit_over(taken, ratio, rest, out):
    """The same of pixels (h, w, 4) uint8, the fourth their alpha, over the ``rest`` (h, w, 3) uint8."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            alpha = np.float32(taken[i, j, 3]) * np.float32(1 / 255)
            for k in range(3):
                under = np.float32(rest[i, j, k])
                value = under + alpha * (np.float32(taken[i, j, k]) * ratio[i, j, k] - under) + np.float32(0.5)
                out[i, j, k] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))


@jit
def mixed(picture, other, offset, share, out):
    """A picture (h, w, 3) uint8 and, as far as ``share`` (h, w) uint8 says, another plus an offset; out uint8."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            s = np.float32(share[i, j]) * np.float32(1 / 255)
            for k in range(3):
                own = np.float32(picture[i, j, k])
                value = own + s * (np.float32(other[i, j, k]) + offset[i, j, k] - own) + np.float32(0.5)
                out[i, j, k] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
