"""Boundaries of landmarks: drawn, turned and shifted at random, and at rest, which says whose they are."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from neural_render.methods.common.contours import Contours, heatmaps
from neural_render.methods.common.head_frame import HeadFrame, HeadPose
from neural_render.methods.reenactgan.settings import COMPONENTS, Settings

RESTING = 0.37  # of the crop's units to a unit of the head, in a boundary at rest: about as large as in a crop


class Boundaries:
    """What is made of landmarks (N, P, 2), the drawn ones of a scheme."""

    def __init__(self, contours: Contours, side: int) -> None:
        self.contours, self.side, self.heads = contours, side, HeadFrame.of(contours)

    def drawn(self, points: Tensor) -> Tensor:
        """(N, K, side, side) in [0, 1]."""
        return heatmaps(points.cpu().numpy(), self.contours.lines, self.side).to(points.device)

    def resting(self, points: Tensor, people: Tensor) -> Tensor:
        """(M, P, 2): of each of M people, numbered in ``people`` (N,), the mean face's points without its poses."""
        heads, _ = self.heads.split(points)
        count = int(people.max()) + 1
        sums = heads.new_zeros(count, *heads.shape[1:]).index_add_(0, people, heads)
        mean = sums / people.bincount(minlength=count).clamp_min(1)[:, None, None]
        front = HeadPose(torch.eye(3).expand(count, 3, 3), mean.new_full((count,), RESTING), mean.new_zeros(count, 2))
        return self.heads.place(mean, front)


def jittered(points: Tensor, settings: Settings, draw: np.random.Generator) -> Tensor:
    """Points (N, P, 2) turned, zoomed and shifted, each face by its own chance."""
    s, count = settings, len(points)
    angle = torch.from_numpy(draw.uniform(-1, 1, count) * math.radians(s.turn)).to(points)
    zoom = torch.from_numpy(1 + draw.uniform(-1, 1, count) * s.zoom).to(points)
    shift = torch.from_numpy(draw.uniform(-1, 1, (count, 1, 2)) * s.shift).to(points)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return points @ turn.mT + shift


def components(points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (P, 2) of points (N, P, 2), and the axes (C, P, 2) in which they vary most, of unit length."""
    x = points.flatten(1).double()
    vectors = torch.linalg.eigh(torch.cov(x.T)).eigenvectors.T.flip(0)[:COMPONENTS]
    return points.mean(0), vectors.view(COMPONENTS, *points.shape[1:]).float()
