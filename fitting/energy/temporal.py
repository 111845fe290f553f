"""That a face moves smoothly from one frame to the next: a prior about the frame before."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fitting.policy.weights import Priors
from fitting.solver.normal_equations import Quadratic
from fitting.solver.state import FitState, Unknowns
from geometry.rotation import axis_angle


@dataclass(frozen=True)
class TemporalPrior:
    """Holds each of F frames to the one before."""

    previous: FitState
    std: Tensor  # (F, P) of what changes since, in the layout's order
    precision: Tensor  # (F, P), a diagonal

    @classmethod
    def of(
        cls, previous: FitState, seconds: float, priors: Priors, unknowns: Unknowns, slack: float = 1.0
    ) -> TemporalPrior:
        """``slack`` multiplies the standard deviations."""
        std = _usual_step(previous, seconds, priors, unknowns)
        return cls(previous, std, (std * slack) ** -2)

    def at(self, state: FitState) -> Quadratic:
        """The precision is a diagonal (F, P)."""
        return Quadratic(self.precision, self.precision * _change(state, self.previous))

    def slackened(self, by: FitState, unknowns: Unknowns) -> TemporalPrior:
        """The same with the slack of a first estimate: none where an unknown rests, the more the more it moved.

        Steps of a face are mostly small, with a few large ones: a heavy-tailed prior, here by re-weighting once. A
        fixed one that is tight enough against jitter would lag behind quick turns and flatten blinks.
        """
        slack = 1 + (_change(by, self.previous) / (2 * self.std)).square()
        slack[:, unknowns.layout.own("light").start :] = 1
        return replace(self, precision=(self.std * slack) ** -2)


def _change(state: FitState, previous: FitState) -> Tensor:
    """(F, P) since the frame before, in the layout's order."""
    return torch.cat(
        [
            axis_angle(state.rotation @ previous.rotation.transpose(1, 2)),
            state.translation - previous.translation,
            state.motion - previous.motion,
            (state.gaze - previous.gaze).flatten(1),
            (state.light - previous.light).transpose(1, 2).flatten(1),
        ],
        -1,
    )


def _usual_step(previous: FitState, seconds: float, priors: Priors, unknowns: Unknowns) -> Tensor:
    """(F, P): standard deviations of what changes in so many seconds."""
    growth, layout = math.sqrt(max(seconds, 1e-3) * 30), unknowns.layout
    strength = previous.light[:, 0].mean(-1, keepdim=True).abs().clamp_min(0.1)  # (F, 1)
    std = previous.light.new_empty(len(previous), layout.frame)
    std[:, layout.own("rotation")] = priors.step_rotation * growth
    std[:, layout.own("translation")] = priors.step_translation * growth
    std[:, layout.own("motion")] = (priors.step_motion * growth * unknowns.motion_std).to(std)
    std[:, layout.own("gaze")] = priors.step_gaze * growth
    std[:, layout.own("light")] = priors.step_light * strength * growth
    return std
