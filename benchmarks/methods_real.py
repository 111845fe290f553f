"""Real clips for ``benchmarks.methods``: people driven by a later stretch of their own video, which is the truth.

Nobody knows what a real person would look like doing what another one did, so that is all that can be measured there.
Landmarks are the detector's, tracks fitted, where a method asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.methods_people import SEEN, Pair, Unseen
from neural_render.methods.clip import Clip, Frame
from neural_render.methods.finding import detected, fitted
from portrait.services.setup import Setup
from portrait.video import VideoReader
from portrait.video.source import file_hash

REAL = "real"  # the kind of pairs
FRAMES, FPS = 24, 8.0  # of a stretch, as the corpus' clips have them
HEIGHT = 360  # px that frames are brought to, at most: they are kept in memory


@dataclass(frozen=True)
class Stretch:
    """Frames of a video in memory, (H, W, 3) uint8 each, as a fit reads them."""

    pictures: Sequence[np.ndarray]
    fps: float = FPS

    def __iter__(self) -> Iterator[Frame]:
        return ((k, k / self.fps, rgb) for k, rgb in enumerate(self.pictures))

    @property
    def height(self) -> int:
        return self.pictures[0].shape[0]

    @property
    def width(self) -> int:
        return self.pictures[0].shape[1]

    @property
    def frame_count(self) -> int:
        return len(self.pictures)


def stretches(paths: Sequence[Path], setup: Setup) -> Iterator[Clip]:
    """Clips of videos of one person each and without cuts, cut into stretches; what is left at a video's end isn't."""
    for path in paths:
        digest, taken = file_hash(path), []
        for _, seconds, rgb in VideoReader(path):
            if seconds * FPS >= len(taken):
                scale = min(1.0, HEIGHT / len(rgb))
                taken.append(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        for first in range(0, len(taken) - FRAMES + 1, FRAMES):
            frames = Stretch(taken[first : first + FRAMES])
            source = {"file": path.name, "digest": digest, "first": first}
            yield Clip(
                frames, frames.width, frames.height, FPS, path.stem, source,
                setup.face_model(), fitted(device=setup.device), detected(device=setup.device),
            )  # fmt: skip


def real_pairs(unseen: Unseen) -> list[Pair]:
    """Every stretch as the driver of the one before it, of the same person; the last one drives the first."""
    faces, out = unseen.faces, []
    for clip in range(len(unseen.clips)):
        target, driver = unseen.clips[clip], clip + 1
        if driver == len(unseen.clips) or unseen.clips[driver].person != target.person:
            driver = next(k for k, other in enumerate(unseen.clips) if other.person == target.person)
        rows = np.flatnonzero((faces.clip == driver) & np.isin(faces.frame, SEEN))
        if driver != clip and len(rows) == len(SEEN):
            still = int(np.flatnonzero(faces.clip == clip)[0])
            out.append(Pair(target, unseen.clips[driver], still, rows, rows))
    return out
