"""Pictures of one person as a clip whose frames have no order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foundation.errors import PortraitError


class Stills:
    """Pictures of one person, of one size and taken with one camera, in no order: nothing moves from one to the next.

    Each is an (H, W, 3) uint8 RGB array.
    """

    fps, ordered = 25.0, False

    def __init__(self, pictures: Sequence[np.ndarray]) -> None:
        if not len(pictures):
            raise PortraitError("images: expected at least one, got none")
        for k, picture in enumerate(pictures):
            if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
                raise PortraitError(
                    f"images[{k}]: expected an (H, W, 3) uint8 RGB array, got {picture.dtype} {picture.shape}"
                )
            if picture.shape != pictures[0].shape:
                raise PortraitError(
                    f"images[{k}]: expected the size of the first, {pictures[0].shape}, got {picture.shape}; "
                    "pictures of several sizes are fitted one by one with fit_image"
                )
        self.pictures, self.frame_count = pictures, len(pictures)
        self.height, self.width = pictures[0].shape[:2]

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        for k, picture in enumerate(self.pictures):
            yield k, k / self.fps, picture
