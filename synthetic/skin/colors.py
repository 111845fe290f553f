"""What absorbs light in and on skin, and smooth noise to spread it with."""

from __future__ import annotations

import cv2
import numpy as np

# Absorption of red, green and blue, relative to each other.
MELANIN = np.array([0.6, 1.0, 1.4], np.float32)
BLOOD = np.array([0.15, 1.0, 0.8], np.float32)
STUBBLE = np.array([1.15, 1.0, 0.9], np.float32)  # seen through skin: bluish
RED_HAIR = np.array([0.4, 0.9, 1.3], np.float32)


def noise(size: int, grain: int, draw: np.random.Generator) -> np.ndarray:
    """(S, S) smooth noise of unit standard deviation whose blobs are about 1 / ``grain`` of the atlas."""
    coarse = draw.standard_normal((grain, grain)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
