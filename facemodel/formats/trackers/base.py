"""What other projects' trackers wrote, read as FLAME's coefficients in front of a camera.

A tracker is a file beside this one that adds itself to `TRACKERS`: it knows its own files and folders by their content,
and reads them as a `Tracked`; `portrait import` makes a track of that. Nothing is unpickled: npz and npy are read as
plain arrays, torch's files with ``weights_only``, other pickles by the reader of face models that builds arrays alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.flame_parameters import EXPRESSION, IDENTITY, Flame, require_flame, to_parameters
from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError
from foundation.registry import Registry

FPS = 25.0


@dataclass(frozen=True)
class Tracked:
    """A clip as somebody else's tracker left it."""

    flame: Flame
    focal: float  # px
    width: int  # px of the pictures that the camera is of
    height: int
    files: tuple[str, ...]  # their names, a frame each or one for all
    notes: tuple[str, ...] = ()  # what else was there, or isn't known
    facts: dict = field(default_factory=dict)
    fps: float | None = None  # frames a second, where the files say it


@dataclass(frozen=True)
class Tracker:
    """One project's files."""

    title: str
    knows: Callable[[Path], bool]  # by content; raises nothing
    read: Callable[[Path, FaceModel], Tracked]


TRACKERS: Registry[Tracker] = Registry("tracker", package="facemodel.formats.trackers")


def find_tracker(path: Path) -> str | None:
    """Whose files these are; None of nobody's."""
    return next((name for name in TRACKERS if TRACKERS[name].knows(path)), None)


def import_track(
    path: Path, model: FaceModel, name: str | None = None, fps: float | None = None
) -> tuple[Track, Tracked]:
    """A track of a tracker's file or folder. PortraitError for one that isn't known, is broken, or another model.

    fps: frames a second; None is what the files say, or `FPS`.
    """
    name = name or find_tracker(path)
    if name is None:
        raise PortraitError(
            f"'{path}': expected files of {', '.join(TRACKERS[n].title for n in TRACKERS)}; it's none of these"
        )
    require_flame(model, f"'{path}' ({TRACKERS[name].title})")
    found = TRACKERS[name].read(path, model)
    p, frames = to_parameters(found.flame, model, found.focal), len(found.flame)
    track = Track(
        model=model.name,
        fingerprint=model.fingerprint,
        width=found.width,
        height=found.height,
        parameters=p,
        times=torch.arange(frames, dtype=torch.float64) / (fps or found.fps or FPS),
        status=torch.full((frames,), int(FrameStatus.TRACKED)),
        confidence=torch.ones(frames),
        landmark_scheme="ibug68",
        facts={"imported": {"from": TRACKERS[name].title, "file": path.name, **found.facts}},
    )
    return track, found


def padded(values: object, count: int, what: str, path: Path) -> np.ndarray:
    """(..., count) of coefficients of which a file has fewer: the rest, in order of variance, are zero."""
    array = numbers(values, what, path)
    if array.ndim < 1 or array.shape[-1] > count:
        raise PortraitError(f"'{path}': {what}: expected at most {count} numbers, got shape {array.shape}")
    return np.concatenate([array, np.zeros((*array.shape[:-1], count - array.shape[-1]))], -1)


def numbers(values: object, what: str, path: Path, last: int | None = None) -> np.ndarray:
    """Finite float64 numbers; ``last``: how many the last dimension has. PortraitError for anything else."""
    try:
        array = np.asarray(values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values, np.float64)
    except (TypeError, ValueError):
        raise PortraitError(f"'{path}': {what}: expected numbers") from None
    if not array.size or not np.isfinite(array).all():
        raise PortraitError(f"'{path}': {what}: expected finite numbers, got {'nan or inf' if array.size else 'none'}")
    if last is not None and array.shape[-1:] != (last,):
        raise PortraitError(f"'{path}': {what}: expected {last} numbers, got shape {array.shape}")
    return array


def rows(values: object, what: str, path: Path, last: int, frames: int | None = None) -> np.ndarray:
    """(F, last) numbers, whatever leading ones a file has; one row stands for all where ``frames`` is given."""
    array = numbers(values, what, path, last).reshape(-1, last)
    if frames is not None and len(array) not in (1, frames):
        raise PortraitError(f"'{path}': {what}: expected {frames} rows, got {len(array)}")
    return array if frames is None else np.broadcast_to(array, (frames, last)).copy()


def shape_and_expression(shape: object, expression: object, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(300,) the mean over frames, as a clip has one identity, and (F, 100)."""
    shape = padded(shape, IDENTITY, "shape", path).reshape(-1, IDENTITY)
    return shape.mean(0), padded(expression, EXPRESSION, "expression", path).reshape(-1, EXPRESSION)


def natural(paths: Sequence[Path]) -> list[Path]:
    """In the order of the numbers in their names."""
    import re

    return sorted(paths, key=lambda p: [int(t) if t.isdecimal() else t for t in re.split(r"([0-9]+)", p.name)])
