"""Who is in a picture, and what is behind them: the layers of a frame whose head moves."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from neural_render.methods.face2face import kernels
from neural_render.methods.face2face.layers import filled

COARSE = 4
"""Where a person is widened, it's at this fraction of the picture's size."""


class Segmenter:
    """MediaPipe's selfie segmentation (Apache-2.0), which comes with the landmark detector. 5 ms a picture."""

    def __init__(self) -> None:
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        self._network = SelfieSegmentation(model_selection=0)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(H, W) uint8, 0 to 255: how surely a picture (H, W, 3) uint8 shows a person."""
        mask = self._network.process(np.ascontiguousarray(picture)).segmentation_mask
        return (np.clip(mask, 0, 1) * 255).astype(np.uint8)


def plate(pictures: Sequence[np.ndarray], people: Sequence[np.ndarray], margin: float) -> np.ndarray:
    """(H, W, 3) uint8: what is behind a person, the mean of where frames show it, and smooth where none does.

    people: (H, W) uint8 each, as of `Segmenter`. margin: px around them that isn't trusted.
    """
    total = np.zeros(pictures[0].shape, np.float32)
    weight = np.full(pictures[0].shape[:2], 1e-6, np.float32)
    for picture, person in zip(pictures, people):
        behind = 1 - widened(person, margin).astype(np.float32) / 255
        behind[behind < 0.9] = 0
        total += behind[..., None] * picture
        weight += behind
    mean, known = total / weight[..., None], weight > 0.5
    made = np.where(known[..., None], mean, filled(mean, known)) if known.any() else pictures[0]
    return np.clip(made + 0.5, 0, 255).astype(np.uint8)


def behind(picture: np.ndarray, person: np.ndarray, other: np.ndarray, margin: float) -> np.ndarray:
    """(H, W, 3) uint8: a picture without its person (H, W) uint8, in whose place is the ``other``.

    That has the picture's own colours around the person, as light or exposure may have changed.
    """
    size = person.shape[::-1]
    coarse = tuple(max(2, s // COARSE) for s in size)
    small, seen, known = (cv2.resize(p, coarse, interpolation=cv2.INTER_AREA) for p in (person, picture, other))
    wide = widened(small, margin / COARSE)
    offset = filled(seen.astype(np.float32) - known, wide < 26)
    share = cv2.resize(cv2.blur(wide, (3, 3)), size, interpolation=cv2.INTER_LINEAR)
    out = np.empty_like(picture)
    kernels.mixed(picture, other, cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR), share, out)
    return out


def widened(person: np.ndarray, margin: float) -> np.ndarray:
    side = 2 * max(2, round(margin)) + 1
    return cv2.dilate(person, np.ones((side, side), np.uint8))
