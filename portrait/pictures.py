"""Small helpers on pictures that reports and services share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facemodel import Track
from renderer import Camera

BAR = 22  # px of the label above a panel


def camera_of(track: Track) -> Camera:
    """The camera of the track's own frames."""
    return Camera(float(track.parameters.focal.flatten()[0]), track.width, track.height)


def to_uint8(values: Tensor) -> np.ndarray:
    """Values in [0, 1] as uint8, of any shape; those beyond are clamped."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def resize(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame at another size: averaged when smaller, cubic when larger."""
    import cv2

    if frame.shape[:2] == (height, width):
        return frame
    how = cv2.INTER_AREA if height < frame.shape[0] or width < frame.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, height), interpolation=how)


def fit_height(picture: np.ndarray, height: int, aspect: float = 1.0) -> np.ndarray:
    """A picture scaled to a height, its shape kept; ``aspect`` is a pixel's width over its height."""
    return resize(picture, max(2, round(picture.shape[1] * aspect * height / picture.shape[0])), height)


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture under a bar with its name."""
    import cv2

    bar = np.full((BAR, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(bar, text, (8, BAR - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])
