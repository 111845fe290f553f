"""Synthetic people for training: the square about a face with its alpha, and what is true of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import facemodel
from facemodel import FaceParameters
from fitting.landmarks.base import SQUARE
from renderer import Camera, atlas_values
from synthetic import Person, SkinAtlas, uniform
from synthetic.clips import random_performance, true_landmarks
from synthetic.performance import head_rotation
from synthetic.skin import paint

SIZE = 160  # px of the stored square
ROOM = 1.25  # its side over that of the square the network sees, for the augmentation to move in
TURN = [math.radians(a) for a in (72, 24, 18)]  # largest yaw, pitch, roll
SKINS = 120  # painted skins, laid over any reflectance
ATLAS = 256
FIRST_SEED = 10_000_000  # far from the benchmarks'


@dataclass(frozen=True)
class Drawn:
    """N pictures."""

    pictures: np.ndarray  # (N, SIZE, SIZE, 4) uint8: sRGB times alpha, and alpha; another tool may add channels
    points: np.ndarray  # (N, 478, 2) float32, px of the square

    def __len__(self) -> int:
        return len(self.points)

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, pictures=self.pictures, points=self.points)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Drawn:
        with np.load(path) as file:
            return cls(**{name: file[name] for name in ("pictures", "points")})


@dataclass(frozen=True)
class Portrait:
    """One synthetic person and what it was drawn from."""

    picture: Tensor  # (SIZE, SIZE, 4) in [0, 1]: sRGB times alpha, and alpha
    points: np.ndarray  # (478, 2) float32, px of the square
    truth: FaceParameters
    camera: Camera  # of the square


@cache
def model():
    torch.set_num_threads(1)
    return facemodel.load()


@cache
def _atlas() -> SkinAtlas:
    return SkinAtlas.of(model(), ATLAS)


@cache
def _skin(seed: int) -> Tensor:
    """(S, S, 3) what a painted skin multiplies the albedo by."""
    base = np.full((ATLAS, ATLAS, 3), 0.3)
    return torch.from_numpy(paint(base, _atlas(), np.random.default_rng([seed, 7])) / base).float().clamp(0.05, 3)


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One picture as `Drawn` has them."""
    drawn = portrait(seed)
    return as_bytes(drawn.picture), drawn.points


def as_bytes(picture: Tensor) -> np.ndarray:
    return (picture * 255).round().byte().numpy()


def portrait(seed: int) -> Portrait:
    """A random person. Half of the people have a painted skin over the model's reflectance."""
    face, g = model(), torch.Generator().manual_seed(seed)
    truth, camera = random_performance(face, g, 1, 512)
    turns = [top * (torch.rand(1, generator=g) * 2 - 1) for top in TURN]
    truth = truth.replace(rotation=head_rotation(*turns))
    points = true_landmarks(face, truth, camera)[0]
    low, high = points.min(0), points.max(0)
    side = float((high - low).max()) * SQUARE * ROOM
    left, top = (low + high) / 2 - side / 2
    window = _zoomed(camera.cropped(float(left), float(top), 512), side)
    with torch.inference_mode():
        albedo = None
        if uniform(g, 0, 1) >= 0.5:
            base = atlas_values(face, face.albedo(truth.reflectance), ATLAS)
            albedo = (base * _skin(int(torch.randint(SKINS, (), generator=g)))).clamp(0.005, 0.98)
        drawn = Person(truth.identity, truth.reflectance, albedo).draw(face, truth, window)
    rgba = torch.cat(drawn, -1)[0].clamp(0, 1)
    inside = (points - [left, top]) * (SIZE / side)
    return Portrait(rgba, inside.astype(np.float32), truth, window)


def _zoomed(window, side: float):
    """The camera of the first ``side`` px of a window, drawn at SIZE px."""
    scale = SIZE / side
    return replace(
        window, focal=window.focal * scale, width=SIZE, height=SIZE, cx=window.cx * scale, cy=window.cy * scale
    )


def draw_chunks(folder: Path, count: int, chunk: int = 2000, draw: Callable = draw) -> None:
    """Draws ``count`` pictures into FOLDER/NUMBER.npz, ``chunk`` a file; files that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(-(-count // chunk)):
        path = folder / f"{number:03d}.npz"
        if not path.exists():
            parts = zip(*(draw(FIRST_SEED + number * chunk + k) for k in range(chunk)))
            Drawn(*(np.stack(p) for p in parts)).save(path)
