"""Small clips of drawn people: a head of its own colour and width that moves, opens its mouth and raises its brows."""

from __future__ import annotations

import cv2
import numpy as np

from neural_render.methods.clip import ActionUnits, Clip, Landmarks
from tests.neural_render.conftest import Frames

SIDE = 48
POINTS = 16
UNITS = ("AU01", "AU26")


def face(person: int, x: float, y: float, mouth: float, brow: float) -> tuple[np.ndarray, np.ndarray]:
    """A frame (SIDE, SIDE, 3) uint8, and where its points are (POINTS, 2) px. Mouth and brow are 0 to 1."""
    draw = np.random.default_rng(person)
    skin, behind = draw.integers(120, 240, 3), draw.integers(0, 90, 3)
    wide, high = 10 + 3 * draw.random(), 13.0
    frame = np.full((SIDE, SIDE, 3), behind, np.uint8)
    c = np.array([x, y])

    def ellipse(at, radii, colour) -> None:
        centre, axes = (tuple(int(round(v * 16)) for v in pair) for pair in (at, radii))
        cv2.ellipse(frame, centre, axes, 0, 0, 360, [int(v) for v in colour], -1, cv2.LINE_AA, 4)

    ellipse(c, (wide, high), skin)
    points = [c + (wide * np.cos(a), high * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
    for side in (-1, 1):
        eye, above = c + (4 * side, -4), c + (4 * side, -7 - 2 * brow)
        ellipse(eye, (1.5, 1), (20, 20, 20))
        ellipse(above, (3, 0.7), (60, 40, 20))
        points += [eye, above]
    open_by = 0.7 + 3 * mouth
    ellipse(c + (0, 6), (4, open_by), (120, 20, 30))
    points += [c + (-4, 6), c + (4, 6), c + (0, 6 - open_by), c + (0, 6 + open_by)]
    return frame, np.array(points, np.float32)


def clip_of(person: int, act: int = 0, frames: int = 6, missing: tuple[int, ...] = (), **others) -> Clip:
    """Somebody in a performance; the same act is the same for everybody."""
    draw = np.random.default_rng([7, act])
    phase, t = draw.uniform(0, 6, 4), np.linspace(0, 4, frames)
    x, y, mouth, brow = (np.sin(p + t * s) for p, s in zip(phase, (1.0, 1.3, 2.0, 1.7)))
    shown = [face(person, 24 + 3 * a, 24 + 2 * b, (c + 1) / 2, (d + 1) / 2) for a, b, c, d in zip(x, y, mouth, brow)]
    points = np.stack([p for _, p in shown])
    points[list(missing)] = np.nan
    units = 2.5 * (np.stack([brow, mouth], 1) + 1).astype(np.float32)
    units[list(missing)] = np.nan
    return Clip(
        Frames(np.stack([f for f, _ in shown])), SIDE, SIDE, person=f"person {person}", performance=f"act {act}",
        source={"file": f"{person}-{act}.mp4"}, find_landmarks=lambda _: Landmarks("drawn", points),
        find_action_units=lambda _: ActionUnits(UNITS, units), **others,
    )  # fmt: skip


def people(count: int, acts: int = 2, frames: int = 6) -> list[Clip]:
    return [clip_of(person, act, frames) for person in range(count) for act in range(acts)]
