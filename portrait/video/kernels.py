"""Compiled loops of `portrait.video.tonemap`, over tables that it makes. Imported where a video needs them."""

from __future__ import annotations

import numpy as np

from foundation.compiled import jit


@jit
def _encoded(light, encoding):
    """8-bit code of linear light; ``encoding`` goes by its root, which spends its steps where the eye does."""
    top = len(encoding) - 1
    return encoding[int(np.sqrt(min(max(light, np.float32(0)), np.float32(1))) * top + np.float32(0.5))]


@jit
def tone_map(picture, light, gain, ratio, encoding, shares, matrix, out):
    """``picture`` (H, W, 3) uint16 to ``out`` (H, W, 3) uint8; see `portrait.video.tonemap._tables`."""
    shift, top = 16 - 12, len(light) - 1
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            r, g, b = (
                light[picture[y, x, 0] >> shift],
                light[picture[y, x, 1] >> shift],
                light[picture[y, x, 2] >> shift],
            )
            luminance = shares[0] * r + shares[1] * g + shares[2] * b
            k = gain[int(np.sqrt(min(luminance, np.float32(1))) * top)]
            r, g, b = r * k, g * k, b * k
            largest = min(max(r, g, b), np.float32(1))
            k = ratio[int(np.sqrt(largest) * top)]
            r, g, b = r * k, g * k, b * k
            for c in range(3):
                out[y, x, c] = _encoded(matrix[c, 0] * r + matrix[c, 1] * g + matrix[c, 2] * b, encoding)


@jit
def change_primaries(picture, linear, encoding, matrix, out):
    """``picture`` (H, W, 3) uint16 to ``out`` (H, W, 3) uint8, by a table of light and a matrix between primaries."""
    shift = 16 - 12
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            r, g, b = (
                linear[picture[y, x, 0] >> shift], linear[picture[y, x, 1] >> shift], linear[picture[y, x, 2] >> shift]
            )  # fmt: skip
            for c in range(3):
                out[y, x, c] = _encoded(matrix[c, 0] * r + matrix[c, 1] * g + matrix[c, 2] * b, encoding)
