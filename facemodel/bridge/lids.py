"""Lids that meet on another face, and stay before its eyeball.

A blink that was carried over stops short, or goes too far, where an eye is another one's: along the edges of the lids
the upper one's way is made as long as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.eyes import lid_edge
from facemodel.bridge.registration import SOCKET, outer_skin
from facemodel.correspondence import Correspondence


@dataclass(frozen=True)
class LidPolicy:
    """Lengths in millimetres."""

    overlap: float = 1.0  # of the closed upper lid's edge over the lower one's
    middle: float = 0.42  # of the eye's width, to either side of its middle: where the lids are looked at
    near: float = 3.0  # along the lid, within which it moves alike
    factor: tuple[float, float] = (0.6, 3.0)  # of the upper lid's way
    clear: float = 0.2  # between a lid and the ball, on the way, too
    off: float = 3.0  # between the closed lid and the ball, at most


POLICY = LidPolicy()


def close_lids(
    default: FaceModel, model: FaceModel, found: Correspondence, eye: int, blink: Tensor, policy: LidPolicy = POLICY
) -> Tensor:
    """(V, 3) mm: the displacement of closing an eye, from one (V, 3) that was carried over."""
    at, way = _edge(default, model, found, eye, blink)
    x, y = at[:, 0], at[:, 1]
    ends = [x.argmin(), x.argmax()]
    upper = y > np.interp(x, *_sorted(x[ends], y[ends]))
    if upper.sum() < 3 or (~upper).sum() < 3:
        return blink
    high = y - np.interp(x, *_sorted(x[~upper], y[~upper]))
    met = at + way
    gap = met[:, 1] - np.interp(met[:, 0], *_sorted(met[~upper, 0], met[~upper, 1]))
    width = np.ptp(x)
    middle = upper & (np.abs(x - x.min() - width / 2) < policy.middle * width)
    if not middle.any():
        return blink
    gone = np.maximum(-way[middle, 1], 0.2 * high[middle])
    needed = np.clip((gone + gap[middle] + policy.overlap) / gone, *policy.factor)
    along = x[middle]
    # Of each place the most that is needed near it, so that the factor is smooth along the lid.
    most = np.array([needed[np.abs(along - here) < policy.near].max() for here in along])
    # As it came at the corners, and beyond them.
    along, most = _sorted(along, most)
    along = np.r_[along[0] - policy.near, along, along[-1] + policy.near]
    factor = np.interp(model.mean[:, 0].double().numpy(), along, np.r_[1.0, most, 1.0])
    factor = torch.from_numpy(factor).float()
    move = torch.where(blink[:, 1:2] < 0, factor[:, None] * blink, blink)
    return _before_ball(model, eye, move, policy) if model.eyes is not None else move


def _edge(default: FaceModel, model: FaceModel, found: Correspondence, eye: int, blink: Tensor):
    """Points (P, 3) mm on the edge of an eye's opening and how far closing it moves them.

    Of a model whose eyes were opened, the edge of the pocket; else where the default's lids have their edge.
    """
    socket, side = model.region(SOCKET), model.mean[:, 0] * (1 if eye == 0 else -1) > 0
    touching = socket[model.triangles].any(1)
    rim = torch.zeros_like(socket)
    rim[model.triangles[touching].flatten()] = True
    rim = rim & ~socket & side
    if bool(rim.any()):
        return model.mean[rim].double().numpy(), blink[rim].double().numpy()
    edge, place = lid_edge(default, eye), found.on_model
    corners, shares = model.triangles[place.triangles[edge]], place.barycentric[edge][..., None]
    return tuple((values[corners] * shares).sum(1).double().numpy() for values in (model.mean, blink))


def _sorted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x)
    return x[order], y[order]


def _before_ball(model: FaceModel, eye: int, move: Tensor, policy: LidPolicy) -> Tensor:
    """The displacement, with the skin that it moves kept off the ball."""
    center, radius = model.eye_centers()[eye], model.eye_radius()[eye]
    offset, length = model.mean + move - center, move.norm(dim=-1)
    distance = offset.norm(dim=-1)
    # Half-way it has cut the corner by the arc's height: rest and end together have to be that far off.
    at_rest = ((model.mean - center).norm(dim=-1) - radius).clamp_min(0)
    arc = length.square() / (8 * radius)
    least = radius + (2 * (arc + policy.clear) - at_rest).clamp(policy.clear, policy.off)
    moving = torch.from_numpy(outer_skin(model)) & (length > 0.3) & (offset[:, 2] > 0)
    short = torch.where(moving, (least - distance).clamp_min(0), torch.zeros_like(distance)).double().numpy()
    # All layers of a lid go out together, as far as the one that needs it most.
    index = np.flatnonzero(moving.numpy())
    near = cKDTree(model.mean[index].numpy()).query_ball_point(model.mean[index].numpy(), policy.near)
    most = np.array([short[index[n]].max() for n in near])
    out = np.array([most[n].mean() for n in near])
    pushed = torch.zeros_like(distance)
    pushed[index] = torch.from_numpy(out).float()
    return move + (pushed / distance.clamp_min(1e-6))[:, None] * offset
