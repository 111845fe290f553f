"""Square crops of uint8 pictures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Crop:
    """A square of the original frame: its left and top pixel and its side, px."""

    x0: int
    y0: int
    side: int


def resize_square(image: np.ndarray, size: int) -> np.ndarray:
    """A square uint8 image (S, S, 3) at another size; area averaging down, cubic up."""
    if image.shape[0] == size:
        return image
    how = cv2.INTER_AREA if image.shape[0] > size else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=how)


def cut_out(frame: np.ndarray, crop: Crop) -> np.ndarray:
    """The crop's pixels of an original frame, a view."""
    return frame[crop.y0 : crop.y0 + crop.side, crop.x0 : crop.x0 + crop.side]
