"""Pictures and masks of a clip's frames in a folder, and views of them: what data sets for avatars have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from facemodel.export.animated.base import Performance, Picture, Window
from foundation.errors import PortraitError
from foundation.progress import Report, counted

MARGIN = 1.08  # of a square window, about what the head covers
SQUARE = 512  # px a side of square pictures
METRES = 0.001


def whole(clip: Performance) -> Window:
    """The pictures as they are."""
    size = clip.camera.width, clip.camera.height
    return Window(0, 0, size, size)


def square(clip: Performance) -> Window:
    """The smallest square about the principal point that holds the head in all frames, at `SQUARE` px a side.

    About that point, since some readers take it for the picture's middle whatever the file says.
    """
    cx, cy = (float(c) for c in clip.camera.principal_point)
    reach = 0.0
    for k, vertices in zip(clip.faces, clip.vertices(clip.faces)):
        reach = max(reach, float(np.abs(clip.pixels(vertices, k) - (cx, cy)).max()))
    half = min(math.ceil(MARGIN * reach), math.ceil(max(cx, cy)))
    return Window(round(cx - half), round(cy - half), (2 * half, 2 * half), (SQUARE, SQUARE))


def pictures_of(
    clip: Performance, window: Window, report: Report, *, matte: bool = False
) -> Iterator[tuple[int, Picture]]:
    """(frame, picture) of every frame with a face, with events. matte: masks have the person's hair and clothes too."""
    frames = clip.faces
    yield from zip(frames, counted(clip.pictures(frames, window, matte), report, "export", len(frames)))


def save(path: Path, picture: np.ndarray) -> None:
    """A picture as PNG; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, "png", compress_level=1)


def check_pictures(folder: Path, names: list[str], window: Window) -> None:
    """PortraitError where a picture is missing or has another size than the cameras say."""
    for name in names:
        try:
            with Image.open(folder / name) as picture:
                size = picture.size
        except OSError as error:
            raise PortraitError(f"export '{folder}': {name} can't be read ({error})") from None
        if size != window.size:
            raise PortraitError(f"export '{folder}': {name} is {size[0]} x {size[1]}, its camera's isn't")
