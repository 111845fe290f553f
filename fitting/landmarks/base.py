"""A face in a picture, and what finds it: the contract of landmark detectors.

Enters a picture, leave `Face`s; which of them is followed through a clip is decided in `fitting.tracking.follow`. To
add a detector, write a class that is a `LandmarkDetector` and name it in `fitting.landmarks.registry.DETECTORS`, or in
an installed package's entry points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

SQUARE = 1.5
"""Side of the square about a face that is fitted, over the longer side of the face's box."""
UPSIDE_DOWN = 0.0
"""Confidence of a face that seems to stand on its head."""


@dataclass(frozen=True)
class Face:
    """One face in a picture."""

    points: np.ndarray  # (L, 2) float64, px of the picture it was found in; pixel centres at +0.5; NaN where unknown
    scheme: str  # a landmark scheme of the model, see `facemodel.landmark_schemes`
    confidence: float  # 0 to 1; `UPSIDE_DOWN` where the landmarks seem to be the wrong way up

    @cached_property
    def box(self) -> np.ndarray:
        """(4,) left, top, right, bottom in px, of the points that are known."""
        return np.concatenate([np.nanmin(self.points, 0), np.nanmax(self.points, 0)])

    @cached_property
    def size(self) -> float:
        """Longer side of the box in px."""
        left, top, right, bottom = self.box
        return float(max(right - left, bottom - top))

    @cached_property
    def centre(self) -> np.ndarray:
        return (self.box[:2] + self.box[2:]) / 2


class LandmarkDetector(Protocol):
    """What the tracker needs of a detector. It keeps no state from picture to picture."""

    name: str
    """What it's known by: checkpoints belong to a detector by this."""
    scheme: str
    """Of its points, see `facemodel.landmark_schemes`."""

    def detect(self, picture: np.ndarray) -> list[Face]:
        """All faces of an (H, W, 3) uint8 RGB picture, the largest first."""

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        """The face near ``centre`` with a box of about ``size`` px, or None. Much faster than ``detect``."""

    def close(self) -> None:
        """Gives back its memory and threads; to be called by who made it."""


def search(detector: LandmarkDetector, picture: np.ndarray) -> list[Face]:
    """All faces, the smallest that the detector can find too, the largest first. Slow where there is none.

    A detector may have a method of this name, and ``least(width, height)``, the size in px of what that finds.
    """
    return getattr(detector, "search", detector.detect)(picture)


def square_crop(picture: np.ndarray, centre: np.ndarray, side: float, size: int) -> np.ndarray:
    """The (size, size) square of ``side`` px about ``centre``, enlarged or reduced; black outside the picture."""
    import cv2

    scale = size / side
    matrix = np.array([[scale, 0, size / 2 - scale * centre[0]], [0, scale, size / 2 - scale * centre[1]]])
    matrix[:, 2] += scale / 2 - 0.5  # cv2 puts pixel centres at whole numbers
    if scale < 0.5:  # average before thinning out
        k = int(np.floor(1 / scale))
        left, top = np.floor(centre - side / 2).astype(int)
        x0, y0 = max(left, 0), max(top, 0)
        x1 = min(int(np.ceil(centre[0] + side / 2)) + 1, picture.shape[1])
        y1 = min(int(np.ceil(centre[1] + side / 2)) + 1, picture.shape[0])
        w, h = (x1 - x0) // k * k, (y1 - y0) // k * k
        if w > 0 and h > 0:
            small = cv2.resize(picture[y0 : y0 + h, x0 : x0 + w], (w // k, h // k), interpolation=cv2.INTER_AREA)
            return square_crop(small, (centre - [x0, y0]) / k, side / k, size)
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)
