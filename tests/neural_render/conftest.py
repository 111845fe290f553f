from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from facemodel.parameters import FaceParameters
from facemodel.track import Track
from renderer import Camera, render

WIDTH, HEIGHT, FRAMES = 160, 120, 14


@dataclass
class Frames:
    """Frames in memory; counts how often it was read from the start."""

    frames: np.ndarray
    starts: int = 0

    def __iter__(self):
        self.starts += 1
        for k, frame in enumerate(self.frames):
            yield k, k / 25, frame


@pytest.fixture(scope="session")
def track(model) -> Track:
    """A head that turns and opens its mouth; the sixth frame has no face."""
    p = FaceParameters.neutral(model, (FRAMES,), focal=220.0, distance=600.0)
    swing = torch.linspace(-1, 1, FRAMES)
    rotation, translation, expression = p.rotation.clone(), p.translation.clone(), p.expression.clone()
    rotation[:, 1] = 0.3 * swing
    translation[:, 0] = 15 * swing
    expression[:, model.expression_index("jawOpen")] = 0.5 - 0.5 * swing
    shared = {name: getattr(p, name)[0] for name in ("identity", "reflectance", "focal")}
    status = torch.ones(FRAMES, dtype=torch.int64)
    status[5] = 0
    return Track(
        model=model.name, fingerprint=model.fingerprint, width=WIDTH, height=HEIGHT,
        parameters=p.replace(rotation=rotation, translation=translation, expression=expression, **shared),
        times=torch.arange(FRAMES, dtype=torch.float64) / 25, status=status, confidence=torch.ones(FRAMES),
        facts={"source": {"name": "synthetic"}},
    )  # fmt: skip


@pytest.fixture(scope="session")
def clip(model, track) -> Frames:
    """The track's shaded head before a gradient."""
    camera = Camera(focal=float(track.parameters.focal), width=WIDTH, height=HEIGHT)
    maps = render(model, track.parameters, camera, maps=("diffuse", "mask"))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    behind = np.stack([rows / HEIGHT, columns / WIDTH, 0.4 + 0 * rows], -1)
    mask = maps["mask"].numpy()
    frames = mask * maps["diffuse"].numpy() + (1 - mask) * behind
    return Frames((frames * 255).round().astype(np.uint8))
