"""Reads action units from face crops: a small network of the bench's own, which no method is trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facemodel.action_units import STRONGEST
from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from neural_render.corpus import Faces
from neural_render.networks import make_norm

STEPS, BATCH, RATE = 2000, 48, 2e-3
WIDTHS = (24, 48, 96, 192)


class UnitReader(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] to units (N, K), 0 to 5."""

    def __init__(self, units: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in zip((3, *WIDTHS), WIDTHS):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), make_norm("group", b), nn.ReLU()]
        places = (size // 2 ** len(WIDTHS)) ** 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * places, units))

    def forward(self, pictures: Tensor) -> Tensor:
        return STRONGEST * self.layers(pictures)


def trained_reader(faces: Faces, path: Path, steps: int = STEPS) -> UnitReader:
    """One that has learnt from these faces' true units, from the file where it's there."""
    reader = UnitReader(len(faces.unit_names), faces.size)
    try:
        tensors, _ = read_tensors(path, "unit reader", 1, "benchmarks.methods")
        reader.load_state_dict(tensors)
        return reader.eval()
    except (PortraitError, RuntimeError):
        pass
    torch.manual_seed(0)
    reader = UnitReader(len(faces.unit_names), faces.size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(reader.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        rows = faces.pairs(step, BATCH, 11, 1)[:, 0]
        pictures, wanted = faces.pictures(rows), torch.from_numpy(faces.units[rows])
        pictures = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, pictures.flip(-1), pictures)
        loss = (reader(pictures) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    write_tensors(path, "unit reader", 1, reader.state_dict(), {})
    return reader.eval()


@torch.no_grad()
def read_units(reader: UnitReader, pictures: Tensor, at_once: int = 64) -> np.ndarray:
    """(N, K) of pictures (N, 3, S, S)."""
    return torch.cat([reader(part) for part in pictures.split(at_once)]).numpy()


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) Pearson's, of columns (N, K); 0 of one that doesn't move."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0), 1e-12)
