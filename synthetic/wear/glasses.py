"""Glasses: two rims before the eyes, a bridge, and temples to the ears. Sizes are in millimetres, model frame."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from synthetic.wear.solid import Solid

AROUND = 28  # points of a rim
COLOURS = ((0.012, 0.012, 0.014), (0.07, 0.03, 0.015), (0.32, 0.3, 0.27), (0.25, 0.16, 0.06), (0.3, 0.03, 0.03))
"""Black, tortoiseshell, steel, gold, red; linear RGB."""


def make_glasses(model, identity: Tensor, draw: np.random.Generator) -> Solid:
    """A person's glasses: form, size and colour drawn, fitted to eyes, nose and the sides of the head."""
    eyes = model.eye_centers(identity).double().numpy()
    vertices = model.vertices(identity, model.blocks["expression"].mean, torch.zeros(2, 2)).double().numpy()
    colour = torch.tensor(COLOURS[draw.integers(len(COLOURS))])
    half = np.array([draw.uniform(22, 27), draw.uniform(16, 23)])  # width, height
    square, wide = draw.uniform(2.0, 5.0), draw.uniform(2.2, 5.0)  # the superellipse's exponent; how wide a rim is
    level = eyes[:, 1].mean() - draw.uniform(0, 5)
    bridge = vertices[(np.abs(vertices[:, 0]) < 4) & (np.abs(vertices[:, 1] - level) < 6), 2].max()
    front = max(bridge + 3, eyes[:, 2].max() + float(model.eye_radius(identity).max()) + 9)
    apart = max(abs(float(eyes[0, 0] - eyes[1, 0])) / 2, half[0] + 6)
    parts = [rim(np.array([side * apart, level, front]), half, square, wide) for side in (1, -1)]
    inner = apart - half[0]
    parts.append(bar([-inner, level + 4, front], [inner, level + 4, front], wide))
    behind = vertices[(np.abs(vertices[:, 1] - level - 5) < 8) & (np.abs(vertices[:, 2]) < 25)]
    ear = max(np.abs(behind[:, 0]).max() - 6, apart + half[0] - 2)
    for side in (1, -1):
        hinge = [side * (apart + half[0] + wide / 2), level + 5, front - 2]
        parts.append(bar(hinge, [side * ear, level + 5, -10.0], wide))
    return Solid.joined([Solid.grid(torch.from_numpy(p), colour) for p in parts])


def rim(middle: np.ndarray, half: np.ndarray, square: float, wide: float) -> np.ndarray:
    """(5, AROUND + 1, 3): a square tube around a superellipse of half axes (2,)."""
    angle = np.linspace(0, 2 * math.pi, AROUND + 1)
    turn = np.stack([np.cos(angle), np.sin(angle)], -1)
    line = np.sign(turn) * np.abs(turn) ** (2 / square) * half
    outwards = turn / np.linalg.norm(turn, axis=-1, keepdims=True) * wide
    rows = [(0, 0), (0, -3), (1, -3), (1, 0), (0, 0)]
    return np.stack([middle + np.concatenate([line + a * outwards, np.full((AROUND + 1, 1), z)], -1) for a, z in rows])


def bar(start, end, wide: float) -> np.ndarray:
    """(5, 2, 3): a square rod of that width from one point to another, about level."""
    ends, h = np.array([start, end], np.float64), wide / 2
    across = np.cross([0.0, 1.0, 0.0], ends[1] - ends[0])
    across *= h / np.linalg.norm(across)
    return np.stack(
        [ends + y * np.array([0, h, 0]) + a * across for y, a in ((1, 1), (1, -1), (-1, -1), (-1, 1), (1, 1))]
    )
