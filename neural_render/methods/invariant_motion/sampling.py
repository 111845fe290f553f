"""Who does what in a step: sequences that drive, whom they drive, and the truth where it's known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural_render.corpus import Faces
from neural_render.methods.common.partners import partners


@dataclass(frozen=True)
class Sequences:
    """Rows of `Faces`, N sequences of T frames."""

    driver: np.ndarray  # (N, T)
    shown: np.ndarray  # (N, T) what should come out, where ``known``; else the driver's own
    known: np.ndarray  # (N,) bool
    target: np.ndarray  # (N,) somebody's picture: of the clip that is shown, where that is known
    same: np.ndarray  # (N,) another of that clip


def moments(faces: Faces, rows: np.ndarray, step: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (N, T) of others doing the same, and where there are some (N,) bool; the given ones elsewhere."""
    first, same = partners(faces, rows[:, 0], step, seed)
    found = faces.counterpart(rows, faces.person[first][:, None])
    same = same & (found >= 0).all(1)
    return np.where(same[:, None], found, rows), same


def of_clips(faces: Faces, clips: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """(N, count) frames of each of the clips (N,), different ones where it has so many."""
    rows = [np.flatnonzero(faces.clip == clip) for clip in clips]
    return np.stack([draw.choice(r, count, replace=len(r) < count) for r in rows])


def sequences(faces: Faces, step: int, batch: int, frames: int, seed: int) -> Sequences:
    """A step's: the even ones drive their own person, the odd ones somebody else, who did the same if anybody did."""
    driver, draw = faces.successive(step, batch, seed, frames), np.random.default_rng([seed, step, 3])
    shown, same = moments(faces, driver, step, seed)
    own = np.arange(batch) % 2 == 0
    shown, known = np.where(own[:, None], driver, shown), own | same
    clips = np.where(known, faces.clip[shown[:, 0]], draw.choice(faces.clip, batch))
    target, other = of_clips(faces, clips, 2, draw).T
    return Sequences(driver, shown, known, target, other)
