"""Frames of a target clip in any order, read in sequence and kept within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from foundation.errors import PortraitError


class FrameCursor:
    """Random access to a re-iterable of (index, time, rgb) that can only be read forwards.

    The last frames read are kept, ``limit_bytes`` of them at most; a frame behind those is reached by reading from
    the start again up to it. Playing backwards therefore costs one such pass per ``kept`` frames, not per frame.
    """

    def __init__(self, frames: Iterable, limit_bytes: int = 128 << 20) -> None:
        self.frames, self.limit_bytes = frames, limit_bytes
        self._recent: OrderedDict[int, np.ndarray] = OrderedDict()
        self._iterator, self._next = None, 0

    def at(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, not to be written to. PortraitError where the clip ends before ``index``."""
        if index in self._recent:
            return self._recent[index]
        if self._iterator is None or index < self._next:
            self.close()
            self._iterator, self._next = iter(self.frames), 0
        for position, _time, rgb in self._iterator:
            self._next = position + 1
            self._recent[position] = rgb
            while len(self._recent) > 2 and len(self._recent) * rgb.nbytes > self.limit_bytes:
                self._recent.popitem(last=False)
            if position == index:
                return rgb
        raise PortraitError(f"video: expected at least {index + 1} frames, it ended after {self._next}; check the file")

    def close(self) -> None:
        """Ends the reading that is under way."""
        if hasattr(self._iterator, "close"):
            self._iterator.close()
        self._iterator = None
        self._recent.clear()
