"""Reads action units from face crops: no method is trained with it, and it shares nothing with GANimation's critic.

A small network with batch normalisation, fitted to people whose units are known, on faces that their landmarks bring to
one place. Landmarks that MediaPipe finds in enlarged crops of 64 px say too little of units to measure with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.corpus import Faces
from neural_render.methods.ganimation.alignment import cut, mean_face, places

STEPS, BATCH, RATE = 1500, 48, 2e-3
WIDTH = 24
TOGETHER = 64


def network(units: int) -> nn.Sequential:
    """Pictures (N, 3, 64, 64) to units (N, K), less their mean and in standard deviations."""
    layers: list[nn.Module] = []
    widths = [3, WIDTH, WIDTH, 2 * WIDTH, 2 * WIDTH, 4 * WIDTH, 4 * WIDTH, 4 * WIDTH]
    for k, (a, b) in enumerate(zip(widths[:-1], widths[1:])):
        stride = 2 if k % 2 == 0 else 1
        layers += [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(units))


@dataclass(frozen=True)
class UnitReader:
    """See the module."""

    network: nn.Module
    face: Tensor  # (L, 2) as `places` has it
    middle: np.ndarray  # (K,) of the units
    spread: np.ndarray  # (K,)

    @classmethod
    def fitted(cls, faces: Faces, steps: int = STEPS, seed: int = 1) -> UnitReader:
        """To the pictures and their units, half of them mirrored."""
        landmarks = torch.from_numpy(faces.landmarks)
        face = mean_face(landmarks)
        middle, spread = faces.units.mean(0), faces.units.std(0).clip(1e-6)
        units = torch.from_numpy((faces.units - middle) / spread)
        draw = np.random.default_rng(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = network(units.shape[1])
            made(torch.zeros(2, 3, faces.size, faces.size))
        made[-1].weight.data *= 0.1
        optimiser = torch.optim.Adam(made.parameters(), RATE)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            rows = draw.integers(len(faces), size=BATCH)
            patches = cut(faces.pictures(rows), places(face, landmarks[rows]))
            patches = patches.flip(-1) if draw.random() < 0.5 else patches
            optimiser.zero_grad()
            F.mse_loss(made(patches), units[rows]).backward()
            optimiser.step()
            falling.step()
        return cls(made.eval(), face, middle, spread)

    @torch.no_grad()
    def __call__(self, pictures: Tensor, landmarks: np.ndarray) -> np.ndarray:
        """(N, K) units, 0 to 5 about, of pictures (N, 3, S, S) of faces with landmarks (N, L, 2)."""
        found = places(self.face, torch.from_numpy(landmarks))
        told = [self.network(cut(p, at)) for p, at in zip(pictures.split(TOGETHER), found.split(TOGETHER))]
        return torch.cat(told).numpy() * self.spread + self.middle


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) Pearson's, of columns (N, K); 0 of one that doesn't move."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0), 1e-12)
