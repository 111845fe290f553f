"""That a face moves smoothly from one frame to the next: a prior about the frame before."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fitting.policy.weights import Priors
from fitting.solver.normal_equations import Quadratic
from fitting.solver.state import FitState, Unknowns
from geometry.rotation import axis_angle


def temporal_prior(
    state: FitState,
    previous: FitState,
    seconds: float,
    priors: Priors,
    unknowns: Unknowns,
    slack: Tensor | float = 1.0,
) -> Quadratic:
    """Holds each frame to the one before; the precision is a diagonal (F, P).

    ``slack`` multiplies the standard deviations, see `motion_slack`.
    """
    difference, sigma = _step(state, previous, seconds, priors, unknowns)
    precision = (sigma * slack) ** -2
    return Quadratic(precision, precision * difference)


def motion_slack(state: FitState, previous: FitState, seconds: float, priors: Priors, unknowns: Unknowns) -> Tensor:
    """(F, P): 1 where an unknown rests, larger the more a first estimate says that it moved.

    Steps of a face are mostly small, with a few large ones: a heavy-tailed prior, here by re-weighting once. A fixed
    one that is tight enough against jitter would lag behind quick turns and flatten blinks.
    """
    difference, sigma = _step(state, previous, seconds, priors, unknowns)
    slack = 1 + (difference / (2 * sigma)).square()
    slack[:, unknowns.layout.own("light").start :] = 1
    return slack


def _step(
    state: FitState, previous: FitState, seconds: float, priors: Priors, unknowns: Unknowns
) -> tuple[Tensor, Tensor]:
    """What changed since the frame before, and its standard deviation, both (F, P) in the layout's order."""
    growth = math.sqrt(max(seconds, 1e-3) * 30)
    strength = previous.light[:, 0].mean(-1, keepdim=True).abs().clamp_min(0.1)  # (F, 1)
    motion = (priors.step_motion * growth * unknowns.motion_std).to(state.light)
    parts = (
        (priors.step_rotation * growth, axis_angle(state.rotation @ previous.rotation.transpose(1, 2))),
        (priors.step_translation * growth, state.translation - previous.translation),
        (motion, state.motion - previous.motion),
        (priors.step_gaze * growth, (state.gaze - previous.gaze).flatten(1)),
        (priors.step_light * strength * growth, (state.light - previous.light).transpose(1, 2).flatten(1)),
    )
    sigma = torch.cat([torch.zeros_like(d) + s for s, d in parts], -1)
    return torch.cat([d for _, d in parts], -1), sigma
