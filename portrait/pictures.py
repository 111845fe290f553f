"""Small helpers on pictures that reports and services share."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from geometry.color import to_uint8

BAR = 22  # px of the label above a panel


def as_bytes(values: Tensor) -> np.ndarray:
    """Values in [0, 1] of any shape, wherever they lie, as an array of uint8."""
    return to_uint8(values).cpu().numpy()


def resize(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame at another size: averaged when smaller, cubic when larger."""
    import cv2

    if frame.shape[:2] == (height, width):
        return frame
    how = cv2.INTER_AREA if height < frame.shape[0] or width < frame.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, height), interpolation=how)


def fit_height(picture: np.ndarray, height: int) -> np.ndarray:
    """A picture scaled to a height, its shape kept."""
    return resize(picture, max(2, round(picture.shape[1] * height / picture.shape[0])), height)


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture under a bar with its name."""
    import cv2

    bar = np.full((BAR, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(bar, text, (8, BAR - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])
