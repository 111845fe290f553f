"""The square of a clip that its face is in: one for all of its frames, so that the head moves in it as it did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from neural_render.images import Crop, resize_square

if TYPE_CHECKING:
    from neural_render.methods.clip import Clip

AROUND = 1.6  # times the face's box, as X2Face enlarges VoxCeleb's


def face_box(landmarks: np.ndarray) -> Crop:
    """The square around a clip's face.

    Its middle is the median of the frames' middles, its side so many times the median of their longer sides.

    landmarks: (F, L, 2) px; NaN where there is no face. PortraitError where there is none at all.
    """
    seen = landmarks[np.isfinite(landmarks).all((1, 2))]
    if not len(seen):
        raise PortraitError("landmarks: expected a face in at least one frame, found none; use another clip")
    low, high = seen.min(1), seen.max(1)
    side = max(2, round(AROUND * float(np.median((high - low).max(-1)))))
    left, top = np.round(np.median((low + high) / 2, 0) - side / 2).astype(int)
    return Crop(int(left), int(top), side)


def cut_square(frame: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """(size, size, 3) uint8 of a frame (H, W, 3); what is beyond its edges is as at them."""
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = crop.x0, crop.y0, crop.x0 + crop.side, crop.y0 + crop.side
    inside = frame[min(max(y0, 0), height - 1) : max(y1, 1), min(max(x0, 0), width - 1) : max(x1, 1)]
    beyond = [min(max(0, n), crop.side - 1) for n in (-y0, y1 - height, -x0, x1 - width)]
    if any(beyond):
        inside = cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE)
    return resize_square(np.ascontiguousarray(inside), size)


def in_crop(points: np.ndarray, crop: Crop) -> np.ndarray:
    """Points (..., 2) px of the frame in the crop: -1 to 1, from edge to edge."""
    return ((points - (crop.x0, crop.y0)) / crop.side * 2 - 1).astype(np.float32)


def cropped(clip: Clip, size: int, crop: Crop | None = None) -> Iterator[tuple[int, Tensor, np.ndarray]]:
    """Each frame's number, its picture (3, size, size) in [-1, 1] and its landmarks (L, 2) in the crop; streams.

    Landmarks are NaN in frames without a face. crop: by default `face_box` of the clip.
    """
    points = clip.landmarks.points
    crop = crop or face_box(points)
    for index, _time, rgb in clip.frames:
        picture = torch.from_numpy(cut_square(rgb, crop, size)).movedim(-1, 0).float() / 127.5 - 1
        yield index, picture, in_crop(points[index], crop)
