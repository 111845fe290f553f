"""Lids that meet on another face, and stay before its eyeball.

A blink that was carried over stops short, or goes too far, where an eye is another one's: along the edges of the lids
the upper one's way is made as long as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.eyes import lid_edge
from facemodel.bridge.registration import outer_skin
from facemodel.correspondence import Correspondence


@dataclass(frozen=True)
class Policy:
    """Lengths in millimetres."""

    overlap: float = 0.8  # of the closed upper lid's edge over the lower one's
    factor: tuple[float, float] = (0.6, 1.8)  # of the upper lid's way
    off: float = 1.2  # between the closed lid and the ball, since half-way it cuts the corner


POLICY = Policy()


def close_lids(
    default: FaceModel, model: FaceModel, found: Correspondence, eye: int, blink: Tensor, policy: Policy = POLICY
) -> Tensor:
    """(V, 3) mm: the displacement of closing an eye, from one (V, 3) that was carried over."""
    edge = lid_edge(default, eye)
    place = found.on_model
    corners = model.triangles[place.triangles[edge]]
    shares = place.barycentric[edge][..., None]
    move = blink.clone()
    rest = (model.mean[corners] * shares).sum(1).double().numpy()
    x, y = rest[:, 0], rest[:, 1]
    chord = np.interp(x, *_sorted(x[[x.argmin(), x.argmax()]], y[[x.argmin(), x.argmax()]]))
    upper, lower = y > chord, y <= chord
    if upper.sum() < 3 or lower.sum() < 3:
        return blink
    way = (blink[corners] * shares).sum(1).double().numpy()
    high = y - np.interp(x, *_sorted(x[lower], y[lower]))
    met = rest + way
    gap = met[:, 1] - np.interp(met[:, 0], *_sorted(met[lower, 0], met[lower, 1]))
    middle = upper & (high > 0.4 * high.max())
    gone = np.maximum(-way[middle, 1], 0.2 * high[middle])
    needed = (gone + gap[middle] + policy.overlap) / gone
    factor = float(np.clip(np.quantile(needed, 0.8), *policy.factor))
    move = torch.where(move[:, 1:2] < 0, factor * move, move)
    return _before_ball(model, eye, move, policy) if model.eyes is not None else move


def _sorted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x)
    return x[order], y[order]


def _before_ball(model: FaceModel, eye: int, move: Tensor, policy: Policy) -> Tensor:
    """The displacement, with the skin that it moves kept off the ball."""
    center, radius = model.eye_centers()[eye], model.eye_radius()[eye]
    offset = model.mean + move - center
    distance = offset.norm(dim=-1)
    at_rest = (model.mean - center).norm(dim=-1)
    least = torch.minimum(radius + policy.off, torch.maximum(at_rest, radius + 0.2))
    skin = torch.from_numpy(outer_skin(model)) & (move.norm(dim=-1) > 0.3) & (offset[:, 2] > 0)
    pushed = torch.where(skin & (distance < least), least / distance.clamp_min(1e-6), torch.ones_like(distance))
    return move + (pushed - 1)[:, None] * offset
