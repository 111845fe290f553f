"""Where people are in a corpus's pictures, as a file beside its pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fitting.occlusion.foreground import ForegroundNet
from foundation.errors import write_error
from foundation.progress import Report, counted, ignore
from neural_render.corpus import Faces
from neural_render.methods.common.people import to_pixels

NAME = "foreground.u8"


@dataclass(frozen=True)
class Foregrounds:
    """A mask a row of `Faces`."""

    path: Path  # (N, size, size) uint8
    count: int
    size: int

    @classmethod
    def of(cls, faces: Faces, report: Report = ignore) -> Foregrounds:
        """Made, or found where they are newer than the pictures. PortraitError where the disk is full."""
        path = faces.path.with_name(NAME)
        found = cls(path, len(faces), faces.size)
        if path.is_file() and path.stat().st_mtime_ns >= faces.path.stat().st_mtime_ns and found.whole():
            return found
        part = path.with_name(NAME + ".part")
        try:
            with ForegroundNet() as network, open(part, "wb") as file:
                for row in counted(range(len(faces)), report, "foregrounds", len(faces), "pictures"):
                    mask = network(to_pixels(faces.pictures(np.array(row))))
                    file.write((mask * 255).round().astype(np.uint8).tobytes())
            os.replace(part, path)
        except OSError as error:
            raise write_error("training data", path, error) from None
        return found

    def whole(self) -> bool:
        return self.path.stat().st_size == self.count * self.size**2

    def masks(self, rows: np.ndarray) -> Tensor:
        """(..., 1, size, size) float32 in [0, 1], of rows of any shape."""
        pixels = np.memmap(self.path, np.uint8, "r", shape=(self.count, self.size, self.size))[rows]
        return torch.from_numpy(pixels)[..., None, :, :].float() / 255
