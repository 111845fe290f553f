"""Photographs of people who don't exist, and what a fit finds in each of them alone.

Pose, light, expression and focal length change from picture to picture; people for testing and for training are
different ones, and none is known to a training of UV completion, whose people have other seeds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import torch

import facemodel
from facemodel import FaceParameters
from facemodel.base import FaceModel
from fitting.landmarks.base import Face
from fitting.observation.crop import observe
from fitting.policy.settings import Settings
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from foundation.tensors import read_tensors, write_tensors
from recognition.poses import USUAL
from synthetic import RandomShots, Shot, SkinAtlas, frame_shot, make_person, shoot

SEED = 2_000_003  # of the people; trainings of UV completion draw from small seeds, its benchmark from 1,000,003
TEXELS, PICTURE, FILL = 192, 192, 0.75  # texels of a skin; px of a photograph, and what the head fills of its height
NOISE = 1.0  # px, standard deviation of each landmark: 3 % of the distance between the eyes
QUICK = Settings(samples=400, joint_levels=(64,), joint_steps=(4,))
SCHEME = "mediapipe478"
OWN = (
    "rotation",
    "translation",
    "expression",
    "illumination",
    "gaze",
    "joints",
)  # parameters that a fit has one a frame of
MAKE = "python -m benchmarks.recognition"


@dataclass(frozen=True)
class Photos:
    """K photographs of one person."""

    pictures: np.ndarray  # (K, S, S, 3) uint8
    yaw: np.ndarray  # (K,) float32 degrees, the true ones
    landmarks: np.ndarray  # (K, 478, 2) px, the scheme of MediaPipe
    parameters: FaceParameters  # (K,), each fitted to its picture alone

    def __len__(self) -> int:
        return len(self.pictures)

    def save(self, path: Path, facts: dict) -> None:
        fitted = {f.name: getattr(self.parameters, f.name) for f in fields(self.parameters)}
        arrays = {"pictures": self.pictures, "yaw": self.yaw, "landmarks": self.landmarks}
        write_tensors(path, "photographs", 1, {k: torch.from_numpy(v) for k, v in arrays.items()} | fitted, facts)

    @classmethod
    def load(cls, path: Path) -> Photos:
        tensors, _ = read_tensors(path, "photographs", 1, MAKE)
        arrays = [tensors.pop(name).numpy() for name in ("pictures", "yaw", "landmarks")]
        return cls(*arrays, FaceParameters(**tensors))


def shots(number: int, pictures: int, *, test: bool) -> list[Shot]:
    """A person's circumstances: any yaw to 90 degrees; for a test two frontal ones and as many of each bin of yaw."""
    draw = np.random.default_rng([SEED, number, 5])
    drawn = [RandomShots().shot(draw) for _ in range(pictures)]
    if not test:
        return drawn
    bins = ((0.0, USUAL.frontal), *USUAL.bins)
    ways = [draw.choice([-1, 1]) * draw.uniform(*bins[k % len(bins)]) for k in range(pictures)]
    return [Shot(**(asdict(s) | {"yaw": float(yaw)})) for s, yaw in zip(drawn, ways)]


@cache
def tools() -> tuple[FaceModel, SkinAtlas, Fitter]:
    model = facemodel.load()
    return model, SkinAtlas.of(model, TEXELS), Fitter(model, SCHEME, focal_from_frame(PICTURE, PICTURE), settings=QUICK)


@torch.inference_mode()
def fitted(fitter: Fitter, picture: np.ndarray, landmarks: np.ndarray) -> FaceParameters:
    """What a picture and its landmarks (478, 2) say of a face: the joint solution of this one frame."""
    seen = observe(picture, Face(landmarks, SCHEME, 1.0), QUICK.joint_levels)
    p = fitter.parameters(solve_shared(fitter, seen).state)
    return p.replace(**{name: getattr(p, name)[0].clone() for name in OWN})


def photograph(number: int, pictures: int, *, test: bool) -> Photos:
    """Draws a person and fits each picture by itself, from landmarks that are the true places with noise."""
    model, atlas, fitter = tools()
    person = make_person(model, atlas, SEED, number)
    draw, taken, marks, found = np.random.default_rng([SEED, number, 7]), [], [], []
    circumstances = shots(number, pictures, test=test)
    for shot in circumstances:
        picture = shoot(model, person, shot, PICTURE, FILL)
        p, camera = frame_shot(model, person, shot, PICTURE, FILL)
        points = p.landmarks(model, camera, SCHEME).double().numpy() + draw.normal(0, NOISE, (478, 2))
        taken.append(picture)
        marks.append(points.astype(np.float32))
        found.append(fitted(fitter, picture, points))
    stacked = {f.name: torch.stack([getattr(p, f.name) for p in found]) for f in fields(FaceParameters)}
    yaw = np.array([s.yaw for s in circumstances], np.float32)
    return Photos(np.stack(taken), yaw, np.stack(marks), FaceParameters(**stacked))
