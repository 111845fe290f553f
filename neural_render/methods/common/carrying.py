"""Pictures and maps carried along with points: what lies at some comes to where others are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.networks import identity_grid, warp

SIDE = 32  # at which flows are told: they are smooth


def led(points: Tensor, wanted: Tensor, near: float, side: int = SIDE) -> Tensor:
    """A flow (N, side, side, 2) for `warp` that brings points (N, P, 2) to the wanted places.

    What is around moves as the points do that come to lie nearest to it, weighed by a Gaussian of a deviation ``near``,
    in units of half a crop.
    """
    at = identity_grid(side, side, device=points.device).view(-1, 2)
    x, y = wanted[:, None].unbind(-1)
    # |at - wanted|^2 without |at|^2, which is the same for all points. No matrix product, whose half precision, where
    # autocast has it, errs by pixels.
    closeness = at[:, :1] * x + at[:, 1:] * y - (x.square() + y.square()) / 2
    share = torch.softmax(closeness / near**2, -1)
    return (share @ (points - wanted)).view(len(points), side, side, 2)


def carried(pictures: Tensor, points: Tensor, wanted: Tensor, near: float) -> Tensor:
    """Pictures (N, C, S, S) whose points (N, P, 2) come to the wanted places."""
    flow = led(points, wanted, near).movedim(-1, 1)
    flow = F.interpolate(flow, size=pictures.shape[-2:], mode="bilinear", align_corners=False)
    return warp(pictures, flow.movedim(1, -1))
