"""Where people are in a corpus's pictures, found when asked for and kept in files beside its pixels."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fitting.occlusion.foreground import ForegroundNet
from foundation.errors import write_error
from neural_render.corpus import Faces
from neural_render.methods.common.people import to_pixels

NAMES = "foreground.u8", "foreground-known.u8"


class Foregrounds:
    """A mask a row of `Faces`. A training looks at a small part of a large corpus, and each mask takes 10 ms.

    Processes that share the files may find a mask twice, and write the same. PortraitError where the disk is full.
    """

    def __init__(self, faces: Faces) -> None:
        self.faces = faces
        self._masks, self._known = (faces.path.with_name(name) for name in NAMES)
        begun = faces.path.stat().st_mtime_ns
        for path, length in ((self._masks, len(faces) * faces.size**2), (self._known, len(faces))):
            if not path.is_file() or path.stat().st_mtime_ns < begun or path.stat().st_size != length:
                _zeros(self._known, len(faces))  # first: a mask that is said to be known has to be one
                _zeros(self._masks, len(faces) * faces.size**2)

    @cached_property
    def network(self) -> ForegroundNet:
        return ForegroundNet()

    def masks(self, rows: np.ndarray) -> Tensor:
        """(..., 1, size, size) float32 in [0, 1], of rows of any shape."""
        size = self.faces.size
        known = np.memmap(self._known, np.uint8, "r+")
        masks = np.memmap(self._masks, np.uint8, "r+", shape=(len(known), size, size))
        for row in np.unique(rows[known[rows] == 0]):
            mask = self.network(to_pixels(self.faces.pictures(np.array(row))))
            masks[row] = (mask * 255).round().astype(np.uint8)
            known[row] = 1
        return torch.from_numpy(masks[rows])[..., None, :, :].float() / 255


def _zeros(path: Path, length: int) -> None:
    try:
        with open(path, "wb") as file:
            file.truncate(length)
    except OSError as error:
        raise write_error("training data", path, error) from None
