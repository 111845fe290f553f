"""A clip's frames within a page: small pictures, as many bytes as there is room for.

Pictures rather than a film: a browser shows frame k of these and no other, in whichever order, and decodes WebP
wherever it runs; which films it decodes depends on where it came from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foundation.errors import PortraitError

BYTES = 11_000_000  # of all pictures together, before base64 adds a third: pages below 20 MB
A_FRAME = 12_000  # bytes at most
LEAST = 3_000  # bytes; clips that leave less are shown every other frame, every third, ...
HEIGHTS = (540, 432, 360, 288, 240, 192, 144)  # px that are tried
QUALITY, WORST = 70, 25  # of WebP


@dataclass(frozen=True)
class Pictures:
    """Frames 0, every, 2 every, ... of a clip."""

    data: bytes  # WebP files, one behind the other
    ends: tuple[int, ...]  # where each ends
    width: int  # px
    height: int
    every: int = 1

    @property
    def text(self) -> str:
        return base64.b64encode(self.data).decode()

    @property
    def facts(self) -> dict:
        return {"ends": list(self.ends), "width": self.width, "height": self.height, "every": self.every}


def small_pictures(frames: Iterable[np.ndarray], count: int) -> Pictures:
    """Of ``count`` frames (H, W, 3) uint8 RGB: the largest of `HEIGHTS` whose first picture fits, then by quality."""
    every = max(1, -(-count * LEAST // BYTES))
    room = min(A_FRAME, BYTES // max(1, -(-count // every)))
    data, ends, shape, quality = bytearray(), [], None, QUALITY
    for k, frame in enumerate(frames):
        if k % every:
            continue
        if shape is None:
            shape = _shape(frame, room)
        data += _webp(frame, shape, quality)
        ends.append(len(data))
        over = len(data) / (room * len(ends))
        quality = min(QUALITY, quality + 1) if over < 0.95 else max(WORST, quality - 2 if over > 1 else quality)
    if shape is None:
        raise PortraitError("video: no frame can be read; give the video that the track belongs to")
    return Pictures(bytes(data), tuple(ends), *shape, every)


def _shape(frame: np.ndarray, room: int) -> tuple[int, int]:
    """Width and height."""
    full = frame.shape[0]
    for height in (h for h in HEIGHTS if h < full or h == HEIGHTS[-1]):
        shape = (max(1, round(frame.shape[1] * min(height, full) / full)), min(height, full))
        if len(_webp(frame, shape, QUALITY - 10)) <= room:
            return shape
    return shape


def _webp(frame: np.ndarray, shape: tuple[int, int], quality: int) -> bytes:
    import cv2

    small = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA) if frame.shape[1::-1] != shape else frame
    return cv2.imencode(".webp", small[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
