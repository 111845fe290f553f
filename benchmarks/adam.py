"""The field's usual way of tracking a frame: Adam through a differentiable renderer, as `benchmarks.tracking` times it.

Its picture comes from PyTorch3D's rasteriser, its gradients from autograd. Unknowns are a frame's own, as in our
tracker: pose, expression, gaze, light; identity, reflectance and focal length stay as they were found. The energy is
one function for both ways: a robust photometric term over the skin's pixels and a robust landmark term (Face2Face,
eq. 3 and 5; without priors, which leaves Adam the easier problem), at the resolution of our tracker's finest level.
Adam starts where our tracker does, at the frame before, and goes on until its energy is as low as our result's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.measures import skin_pixels
from facemodel import FaceParameters, Track
from fitting import Settings
from fitting.landmarks.base import square_crop
from renderer import Camera, render

CROP = 1.5  # side of the compared square over the face's, as our tracker has it
COLOUR, COLOUR_SCALE = 300.0, 0.06  # weight, and the residual (of 1) from which on a pixel is taken for an occluder
LANDMARKS, LANDMARK_SCALE = 80.0, 0.015  # weight, and the same as a share of the face's size
RATES = {"rotation": 0.01, "translation": 2.0, "expression": 0.03, "gaze": 0.02, "illumination": 0.02}
ITERATIONS = 60  # at most, a frame; where that isn't enough the time is too short, which is said


@dataclass(frozen=True)
class Target:
    """What one frame's energy is measured against."""

    crop: Tensor  # (S, S, 3) sRGB in [0, 1]
    pixels: Tensor  # (S, S) bool, in which colours are compared
    camera: Camera  # of the crop
    landmarks: Tensor  # (L, 2) px of the crop
    face_size: float  # px of the crop


@dataclass(frozen=True)
class Descent:
    """How Adam fared on one frame."""

    frame: int
    start: float  # energies
    ours: float
    reached: float
    iterations: int
    seconds: float


def target_of(model, track: Track, frame: int, picture: np.ndarray) -> Target:
    marks = track.landmarks[frame]
    low, high = marks.amin(0), marks.amax(0)
    size, level = float((high - low).max()), max(Settings().levels)
    side, middle = CROP * size, (low + high) / 2
    corner, scale = middle - side / 2, level / side
    camera = Camera(float(track.parameters.focal), track.width, track.height)
    cx, cy = ((c - float(x)) * scale for c, x in zip(camera.principal_point, corner))
    camera = Camera(camera.focal * scale, level, level, cx=cx, cy=cy)
    crop = torch.from_numpy(square_crop(picture, middle.double().numpy(), side, level)).float() / 255
    return Target(
        crop, skin_pixels(model, track.parameters[frame], camera), camera, (marks - corner) * scale, size * scale
    )


def energy(model, p: FaceParameters, target: Target, scheme: str, rasterizer: str) -> Tensor:
    """The scalar that both ways are compared by; differentiable in ``p``."""
    drawn = render(model, p, target.camera, rasterizer=rasterizer)["diffuse"][0]
    squared = (drawn - target.crop)[target.pixels].square().sum(-1) / COLOUR_SCALE**2
    gap = p.landmarks(model, target.camera, scheme) - target.landmarks
    weights = model.embedding(scheme).weights
    distance = gap.square().sum(-1) / (target.face_size * LANDMARK_SCALE) ** 2
    robust = (weights * (1 + distance / 4).log()).sum() / weights.sum()
    return COLOUR / 6 * (1 + squared).log().mean() + LANDMARKS * robust


def descend(model, track: Track, frame: int, picture: np.ndarray, rasterizer: str = "pytorch3d") -> Descent:
    """Runs Adam on one frame from the one before it, until it is as good as the track or has tried long enough."""
    scheme, target = track.landmark_scheme, target_of(model, track, frame, picture)
    with torch.no_grad():
        ours = float(energy(model, track.parameters[frame], target, scheme, rasterizer))
    fixed = track.parameters[frame - 1]
    free = {name: getattr(fixed, name).clone().requires_grad_() for name in RATES}
    adam = torch.optim.Adam([{"params": [free[name]], "lr": rate} for name, rate in RATES.items()])
    values: list[float] = []
    begun = time.perf_counter()
    for _ in range(ITERATIONS + 1):
        value = energy(model, fixed.replace(**free), target, scheme, rasterizer)
        values.append(float(value.detach()))
        if values[-1] <= ours:
            break
        adam.zero_grad()
        value.backward()
        adam.step()
        with torch.no_grad():
            free["expression"].copy_(model.blocks["expression"].clamp(free["expression"]))
    return Descent(frame, values[0], ours, min(values), len(values) - 1, time.perf_counter() - begun)


def moving_frames(track: Track, shares: tuple[float, ...] = (0.5, 0.8, 1.0)) -> list[int]:
    """Frames from which so large a share of the others moves less, by their landmarks, since the frame before."""
    moved = (track.landmarks[1:] - track.landmarks[:-1]).norm(dim=-1).mean(1)
    known = (moved.isfinite() & track.tracked[1:] & track.tracked[:-1]).nonzero().flatten()
    order = known[moved[known].argsort()]
    return sorted({int(order[round(share * (len(order) - 1))]) + 1 for share in shares})
