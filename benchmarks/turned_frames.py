"""How far heads of a fitted clip are turned, and frames chosen by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from facemodel import Track
from geometry.camera import FLIP
from neural_render import FrameCursor
from portrait.video import open_frames
from renderer import rotation_matrix

APART = 8  # frames between two that are chosen, at least
TRUSTED = 0.5  # confidence of a frame that may be chosen


def yaws(track: Track) -> np.ndarray:
    """(F,) degrees that each head is turned to its left, against the line from it to the camera."""
    p = track.parameters.expanded()
    forward = rotation_matrix(p.rotation)[..., 2]
    towards = -p.translation * p.translation.new_tensor(FLIP)
    angle = lambda v: torch.atan2(v[..., 0], v[..., 2])  # noqa: E731
    return torch.rad2deg(angle(forward) - angle(towards)).numpy()


def by_turn(track: Track) -> np.ndarray:
    """The frames whose fit is trusted, the most frontal first."""
    trusted = np.flatnonzero(track.tracked.numpy() & (track.confidence.numpy() > TRUSTED))
    return trusted[np.abs(yaws(track)[trusted]).argsort()]


def apart(order: np.ndarray, count: int) -> list[int]:
    """The first ``count`` frames of an order that are ``APART`` from one another."""
    chosen: list[int] = []
    for frame in order.tolist():
        if len(chosen) < count and all(abs(frame - c) >= APART for c in chosen):
            chosen.append(frame)
    return chosen


def pictures_of(clip: Path, frames: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(number, (H, W, 3) uint8) of some frames of a clip, in their order."""
    cursor = FrameCursor(open_frames(clip))
    for frame in sorted(frames):
        yield frame, np.array(cursor.at(frame))
    cursor.close()
