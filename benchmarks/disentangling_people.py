"""Unseen people who do something, under another light and with their head turned otherwise, with all that is true."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

import facemodel
from facemodel.editing.poses import head_angles
from foundation.progress import Event, Report, ignore
from neural_render.corpus import face_box
from neural_render.corpus.crops import cut_square, in_crop
from neural_render.methods.clip import Clip, Landmarks
from synthetic import SkinAtlas
from synthetic.surroundings import random_light
from synthetic.takes import Look, Performance, make_look, make_performance, parameters_of, take

SEED = 7_000_001  # of people and performances that no training has
TEXELS = 256
FPS = 8.0
VERSIONS = ("as they are", "other light", "turned")


@dataclass
class Frames:
    """A clip's pictures, as readers of videos give them."""

    pictures: np.ndarray  # (F, S, S, 3) uint8

    def __post_init__(self) -> None:
        self.frame_count, (self.height, self.width) = len(self.pictures), self.pictures.shape[1:3]

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        for k, picture in enumerate(self.pictures):
            yield k, k / FPS, picture


@dataclass(frozen=True)
class Shown:
    """N pictures, F of each clip."""

    frames: int  # F
    pictures: np.ndarray  # (N, S, S, 3) uint8
    landmarks: np.ndarray  # (N, 478, 2) px, true ones
    person: np.ndarray  # (N,)
    clip: np.ndarray  # (N,) each somebody's own performance
    expression: np.ndarray  # (N, E)
    pose: np.ndarray  # (N, 3) yaw, pitch, roll in radians

    def __len__(self) -> int:
        return len(self.pictures)

    def clips(self) -> list[Clip]:
        """With the true landmarks, so that all methods see the same crops."""
        found = []
        for k in range(0, len(self), self.frames):
            rows = slice(k, k + self.frames)
            points = Landmarks("mediapipe478", self.landmarks[rows].astype(np.float32))
            frames, who = Frames(self.pictures[rows]), str(self.person[k])
            known = lambda _, points=points: points  # noqa: E731
            found.append(Clip(frames, frames.width, frames.height, FPS, who, find_landmarks=known))
        return found

    def crops(self, size: int) -> tuple[Tensor, np.ndarray]:
        """(N, 3, size, size) in [-1, 1], and the landmarks in them (N, 478, 2)."""
        pictures, points = [], []
        for k in range(0, len(self), self.frames):
            rows = range(k, k + self.frames)
            crop = face_box(self.landmarks[rows])
            pictures += [cut_square(self.pictures[row], crop, size) for row in rows]
            points.append(in_crop(self.landmarks[rows], crop))
        shown = torch.from_numpy(np.stack(pictures)).movedim(-1, 1).float() / 127.5 - 1
        return shown, np.concatenate(points)


def changed(look: Look, performance: Performance, version: str, model, number: int) -> tuple[Look, Performance]:
    """The same person with the same expressions in one of `VERSIONS`."""
    if version == "other light":
        g = torch.Generator().manual_seed(SEED + number)
        return replace(look, light=random_light(model, g)), performance
    if version == "turned":
        other = make_performance(model, SEED + 1, number, len(performance), FPS)
        return look, replace(performance, rotation=other.rotation, aside=other.aside)
    return look, performance


def draw_people(
    people: int, clips: int, frames: int, size: int, report: Report = ignore
) -> tuple[dict[str, Shown], float]:
    """By version the same people in the same clips, ``clips`` of each; and the seconds that they took to draw."""
    model, began = facemodel.load(), time.process_time()
    atlas = SkinAtlas.of(model, TEXELS)
    columns = {version: {f: [] for f in Shown.__dataclass_fields__ if f != "frames"} for version in VERSIONS}
    for person in range(people):
        look = make_look(model, atlas, SEED, person)
        for number in range(person * clips, (person + 1) * clips):
            performance = make_performance(model, SEED, number, frames, FPS)
            for version in VERSIONS:
                who, done = changed(look, performance, version, model, number)
                truth, pictures = take(model, who, done, size)
                _, camera = parameters_of(who, done, size)
                values = {
                    "pictures": pictures,
                    "landmarks": truth.landmarks(model, camera).double().numpy(),
                    "person": np.full(frames, person),
                    "clip": np.full(frames, number),
                    "expression": done.expression.double().numpy(),
                    "pose": head_angles(done.rotation),
                }
                for name, value in values.items():
                    columns[version][name].append(value)
            report(Event("pictures", number + 1, people * clips, "clips"))
    shown = {v: Shown(frames, **{f: np.concatenate(parts) for f, parts in c.items()}) for v, c in columns.items()}
    return shown, time.process_time() - began
