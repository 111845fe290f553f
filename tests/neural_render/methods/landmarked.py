"""Small clips of people of the default model, drawn with a few strokes, with iBUG's landmarks as they are."""

from __future__ import annotations

import cv2
import numpy as np
import torch

import facemodel
from facemodel import FaceParameters
from neural_render.methods.clip import Clip, Landmarks
from neural_render.methods.common.contours import Contours, draw
from renderer import Camera
from synthetic.performance import expressions, head_rotation, wave
from tests.neural_render.conftest import Frames

SIDE = 64
SCHEME = "ibug68"


def points_of(person: int, act: int, frames: int) -> np.ndarray:
    """(F, 68, 2) px: of person 0 the mean face's."""
    model = facemodel.load()
    g, who = (torch.Generator().manual_seed(n) for n in (1000 + act, person))
    turns = [wave(g, frames) * t for t in (0.5, 0.2, 0.1)]
    p = FaceParameters.neutral(model, (frames,), focal=120.0, distance=600.0)
    identity = torch.randn(model.count("identity"), generator=who) * (person > 0)
    p = p.replace(
        identity=identity, expression=expressions(model, g, frames, p.gaze), rotation=head_rotation(*turns),
        reflectance=p.reflectance[0], focal=p.focal[0],
    )  # fmt: skip
    return p.landmarks(model, Camera(120.0, SIDE, SIDE), SCHEME).numpy()


def frame(person: int, points: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: skin of the person's colour in the points' hull, with dark lines."""
    colours = np.random.default_rng(person).integers(90, 250, 3)
    out = np.full((SIDE, SIDE, 3), 255 - colours, np.uint8)
    hull = cv2.convexHull(np.round(points * 16).astype(np.int32))
    cv2.fillPoly(out, [hull], colours.tolist(), cv2.LINE_AA, 4)
    contours = Contours.of(SCHEME)
    for line in contours.lines:
        draw(out, points / SIDE * 2 - 1, line, (20, 10, 30), 1)
    return out


def clip_of(person: int, act: int = 0, frames: int = 6, missing: tuple[int, ...] = (), **others) -> Clip:
    """Somebody in a performance; the same act is the same for everybody."""
    points = points_of(person, act, frames).astype(np.float32)
    pictures = np.stack([frame(person, p) for p in points])
    points[list(missing)] = np.nan
    return Clip(
        Frames(pictures), SIDE, SIDE, person=f"person {person}", performance=f"act {act}",
        source={"file": f"{person}-{act}.mp4"}, find_landmarks=lambda _: Landmarks(SCHEME, points), **others,
    )  # fmt: skip


def people(count: int, acts: int = 2, frames: int = 6) -> list[Clip]:
    return [clip_of(person, act, frames) for person in range(count) for act in range(acts)]
