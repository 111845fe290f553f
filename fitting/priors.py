"""What is known before looking: statistics of faces, light and gaze, and that a face moves smoothly.

Each prior is a quadratic 1/2 (x - x0)' P (x - x0); it adds P to the normal equations' matrix and P (x - x0) to the
gradient. Identity and reflectance are in standard deviations, so theirs is the identity matrix (Face2Face, eq. 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.camera import axis_angle
from renderer.lighting import C0

from .state import FitState, Layout


@dataclass(frozen=True)
class Priors:
    """Standard deviations."""

    identity: float = 1.0
    reflectance: float = 1.0
    log_focal: float = 0.25
    expression: float = 0.45
    light_strength: tuple[float, float] = (0.75, 0.15)  # radiance of a white surface in even light: mean and deviation
    light_shape: float = 0.4  # of each band above the constant one, over the constant one
    light_colour: float = 0.25  # difference between colour channels, over the constant band
    gaze: float = 0.4  # rad
    gaze_yaw_difference: float = 0.08  # rad, between the eyes
    gaze_pitch_difference: float = 0.03
    # From one frame to the next at 30 frames a second; growing with the square root of the time between.
    step_rotation: float = 0.013  # rad
    step_translation: float = 4.0  # mm
    step_expression: float = 0.08
    step_gaze: float = 0.15  # rad
    step_light: float = 0.01  # over the constant band


def shared_prior(state: FitState, focal_guess: float, priors: Priors, layout: Layout) -> tuple[Tensor, Tensor]:
    """Precision (S,) and gradient (S,) of identity, reflectance and focal length."""
    like = state.identity
    precision = torch.cat(
        [
            like.new_full((layout.identity,), priors.identity**-2),
            like.new_full((layout.reflectance,), priors.reflectance**-2),
            like.new_full((1,), priors.log_focal**-2),
        ]
    )
    offset = torch.cat([state.identity, state.reflectance, (state.log_focal - math.log(focal_guess))[None]])
    return precision, precision * offset


def frame_prior(state: FitState, priors: Priors, layout: Layout) -> tuple[Tensor, Tensor]:
    """Precision (F, P, P) and gradient (F, P) of each frame's expression, gaze and light, without time."""
    frames, at = len(state), layout.slices()
    precision = state.light.new_zeros(frames, layout.frame, layout.frame)
    gradient = state.light.new_zeros(frames, layout.frame)
    index = lambda name: torch.arange(at[name].start, at[name].stop, device=precision.device) - layout.shared  # noqa: E731

    e = index("expression")
    precision[:, e, e] = priors.expression**-2
    gradient[:, e] = state.expression * priors.expression**-2

    g = index("gaze")  # left yaw, left pitch, right yaw, right pitch
    yaw, pitch = priors.gaze_yaw_difference**-2, priors.gaze_pitch_difference**-2
    couple = torch.diag(precision.new_full((4,), priors.gaze**-2))
    for i, j, p in ((0, 2, yaw), (1, 3, pitch)):
        couple[i, i] += p
        couple[j, j] += p
        couple[i, j] -= p
        couple[j, i] -= p
    precision[:, g[:, None], g] = couple
    gradient[:, g] = state.gaze.flatten(1) @ couple

    light, columns = light_precision(state.light, priors), index("light")
    values = state.light.transpose(1, 2).flatten(1)  # (F, 27), channel-major as the layout has it
    gradient[:, columns] = (light @ values[..., None])[..., 0]
    # A picture's exposure is such that white is neither burnt out nor grey: it keeps bright light on dark skin apart
    # from dim light on light skin.
    expected, deviation = (x / C0 for x in priors.light_strength)
    constant = torch.arange(0, 27, 9, device=light.device)
    light[:, constant[:, None], constant] += 1 / (3 * deviation) ** 2
    gradient[:, columns[constant]] += (state.light[:, :1].mean(-1) - expected) / (3 * deviation**2)
    precision[:, columns[:, None], columns] = light
    return precision, gradient


def light_precision(light: Tensor, priors: Priors) -> Tensor:
    """(F, 27, 27): the bands above the first are small, and the light is nearly white, whatever its strength."""
    strength = light[:, 0].mean(-1).abs().clamp_min(0.1)  # (F,)
    band = torch.diag(light.new_tensor([0.0] + [1.0] * 8))
    shape = torch.kron(torch.eye(3, dtype=light.dtype, device=light.device), band) / priors.light_shape**2
    centred = torch.eye(3, dtype=light.dtype, device=light.device) - 1 / 3
    colour = torch.kron(centred, torch.eye(9, dtype=light.dtype, device=light.device)) / priors.light_colour**2
    return (shape + colour) / strength.square()[:, None, None]


def temporal_prior(
    state: FitState,
    previous: FitState,
    seconds: float,
    priors: Priors,
    layout: Layout,
    slack: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Precision (F, P), diagonal, and gradient (F, P) that hold each frame to the one before.

    ``slack`` multiplies the standard deviations, see `motion_slack`.
    """
    difference, sigma = _step(state, previous, seconds, priors, layout)
    precision = (sigma * slack) ** -2
    return precision, precision * difference


def motion_slack(state: FitState, previous: FitState, seconds: float, priors: Priors, layout: Layout) -> Tensor:
    """(F, P): 1 where an unknown rests, larger the more a first estimate says that it moved.

    Steps of a face are mostly small, with a few large ones: a heavy-tailed prior, here by re-weighting once. A fixed
    one that is tight enough against jitter would lag behind quick turns and flatten blinks.
    """
    difference, sigma = _step(state, previous, seconds, priors, layout)
    slack = 1 + (difference / (2 * sigma)).square()
    slack[:, layout.slices()["light"].start - layout.shared :] = 1
    return slack


def _step(state: FitState, previous: FitState, seconds: float, priors: Priors, layout: Layout) -> tuple[Tensor, Tensor]:
    """What changed since the frame before, and its standard deviation, both (F, P) in the layout's order."""
    growth = math.sqrt(max(seconds, 1e-3) * 30)
    strength = previous.light[:, 0].mean(-1, keepdim=True).abs().clamp_min(0.1)  # (F, 1)
    parts = (
        (priors.step_rotation, axis_angle(state.rotation @ previous.rotation.transpose(1, 2))),
        (priors.step_translation, state.translation - previous.translation),
        (priors.step_expression, state.expression - previous.expression),
        (priors.step_gaze, (state.gaze - previous.gaze).flatten(1)),
        (priors.step_light * strength, (state.light - previous.light).transpose(1, 2).flatten(1)),
    )
    sigma = torch.cat([torch.zeros_like(d) + s * growth for s, d in parts], -1)
    return torch.cat([d for _, d in parts], -1), sigma
