"""Video of the toy, drawn by the project's renderer with the toy detector's dots on it, and all that is true of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import facemodel
from facemodel import FaceParameters
from geometry.camera import Camera, project, to_camera
from portrait.video.writer import VideoWriter
from renderer import render
from tests.extension import toy_detector, toy_model

WIDTH, HEIGHT, FOCAL, FPS = 320, 240, 500.0, 25.0


def performance(frames: int, seed: int) -> FaceParameters:
    """A head that turns, nods, opens its jaw and grins. The identity is the seed's."""
    model, random = facemodel.load(toy_model.NAME), torch.Generator().manual_seed(seed)
    time, phase = torch.arange(frames) / FPS, 6 * torch.rand(4, generator=random)
    wave = lambda k, speed: torch.sin(2 * math.pi * speed * time + phase[k])  # noqa: E731
    zero = torch.zeros(frames)
    return FaceParameters.neutral(model, (frames,), focal=FOCAL, distance=560.0).replace(
        identity=torch.randn(model.count("identity"), generator=random),
        focal=torch.tensor(FOCAL),
        expression=torch.stack([0.8 * wave(0, 1.1), 0.4 * wave(1, 0.7), zero], -1),
        joints=(0.18 + 0.18 * wave(2, 1.6))[:, None],
        rotation=torch.stack([0.08 * wave(3, 0.9), 0.3 * wave(0, 0.5), zero], -1),
    )


def marks(parameters: FaceParameters) -> Tensor:
    """(F, L, 2) px: where the landmarks are."""
    model, p = facemodel.load(toy_model.NAME), parameters.expanded()
    points = model.landmarks(model.vertices(p.identity, p.expression, None, p.joints), toy_model.SCHEME.name)
    return project(to_camera(points, p.rotation, p.translation), Camera(FOCAL, WIDTH, HEIGHT))


def pictures(parameters: FaceParameters, brightness: float = 1.0) -> list[np.ndarray]:
    """(H, W, 3) uint8 each, over a grey wall."""
    model, camera = facemodel.load(toy_model.NAME), Camera(FOCAL, WIDTH, HEIGHT)
    maps = render(model, parameters, camera, ["diffuse", "mask"])
    drawn = brightness * maps["diffuse"].clamp(0, 1) + 0.35 * (1 - maps["mask"])
    frames = (drawn.clamp(0, 1) * 255).round().byte().numpy()
    return [toy_detector.draw_dots(frame, found) for frame, found in zip(frames, marks(parameters).numpy())]


def write(path: Path, parameters: FaceParameters, brightness: float = 1.0) -> Path:
    writer = VideoWriter(path, WIDTH, HEIGHT, FPS, crf=10)
    for picture in pictures(parameters, brightness):
        writer.write(picture)
    return writer.close()
