"""What is known before looking: statistics of faces, light and gaze, and that a face moves smoothly.

Each prior is a quadratic 1/2 (x - x0)' P (x - x0); it adds P to the normal equations' matrix and P (x - x0) to the
gradient. Identity and reflectance are in standard deviations, so theirs is the identity matrix (Face2Face, eq. 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from fitting.solver.state import LIGHT, POSE, FitState, Layout
from geometry.rotation import axis_angle
from geometry.spherical_harmonics import C0

DIMMEST = 0.02  # constant coefficient of a light, at least


@dataclass(frozen=True)
class Priors:
    """Standard deviations."""

    identity: float = 1.0
    size: float = 0.04  # relative, of grown-ups' heads; a picture tells nothing of it, and the model's have all ages
    reflectance: float = 1.0
    detail: float = 0.35  # linear RGB, of a sample's own albedo; each sample counts as the photometric term counts it
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


def shared_prior(
    state: FitState, focal_guess: float, priors: Priors, layout: Layout, sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Precision (S,) and gradient (S,) of identity, reflectance and focal length.

    ``sizes`` (I,): by what share a unit of each identity coefficient enlarges the face (`relative_sizes`).
    """
    like = state.identity
    precision = torch.cat(
        [
            priors.identity**-2 + (sizes / priors.size).square(),
            like.new_full((layout.reflectance,), priors.reflectance**-2),
            like.new_full((1,), priors.log_focal**-2),
        ]
    )
    offset = torch.cat([state.identity, state.reflectance, (state.log_focal - math.log(focal_guess))[None]])
    return precision, precision * offset


def relative_sizes(model) -> Tensor:
    """(I,): by what share a unit of each identity coefficient enlarges the face, about its middle."""
    face = model.regions["face"]
    x = model.mean[face] - model.mean[face].mean(0)
    return torch.einsum("ivk,vk->i", model.identity_basis[:, face], x) / x.square().sum()


def frame_prior(state: FitState, priors: Priors, layout: Layout) -> tuple[Tensor, Tensor]:
    """Precision (F, P, P) and gradient (F, P) of each frame's expression, gaze and light, without time."""
    fixed, light, offset = _frame_constants(priors, layout, state.light.dtype, state.light.device)
    strength = state.light[:, 0].mean(-1).abs().clamp_min(0.1)  # (F,)
    precision = fixed + light / strength.square()[:, None, None]
    values = torch.cat(
        [
            state.light.new_zeros(len(state), POSE),
            state.expression,
            state.gaze.flatten(1),
            state.light.transpose(1, 2).flatten(1),  # channel-major as the layout has it
        ],
        1,
    )
    return precision, (precision @ values[..., None])[..., 0] - offset


def light_shape_prior(light: Tensor, priors: Priors, layout: Layout) -> tuple[Tensor, Tensor]:
    """Precision (F, 27, 27) and gradient (F, 27), channel-major, of a light of any strength (F, 9, 3)."""
    _, shape, _ = _frame_constants(priors, layout, light.dtype, light.device)
    own = slice(layout.frame - LIGHT, layout.frame)
    strength = light[:, 0].mean(-1).abs().clamp_min(DIMMEST)
    precision = shape[own, own] / strength.square()[:, None, None]
    values = light.transpose(1, 2).flatten(1)
    return precision, (precision @ values[..., None])[..., 0]


@lru_cache(maxsize=8)
def _frame_constants(priors: Priors, layout: Layout, dtype, device) -> tuple[Tensor, Tensor, Tensor]:
    """Precision (P, P) that doesn't change, that of light over the light's squared strength (P, P), and P x0 (P,)."""
    at = {n: torch.arange(c.start, c.stop) - layout.shared for n, c in layout.slices().items()}
    fixed, shape = torch.zeros(2, layout.frame, layout.frame, dtype=torch.float64)
    offset = torch.zeros(layout.frame, dtype=torch.float64)
    fixed[at["expression"], at["expression"]] = priors.expression**-2

    yaw, pitch = priors.gaze_yaw_difference**-2, priors.gaze_pitch_difference**-2
    couple = torch.diag(torch.full((4,), priors.gaze**-2, dtype=torch.float64))
    for i, j, p in ((0, 2, yaw), (1, 3, pitch)):  # left yaw, left pitch, right yaw, right pitch
        couple[i, i] += p
        couple[j, j] += p
        couple[i, j] -= p
        couple[j, i] -= p
    fixed[at["gaze"][:, None], at["gaze"]] = couple

    # The bands above the first are small, and the light is nearly white, whatever its strength.
    eye = lambda n: torch.eye(n, dtype=torch.float64)  # noqa: E731
    band = torch.diag(torch.tensor([0.0] + [1.0] * 8, dtype=torch.float64))
    shape[at["light"][:, None], at["light"]] = (
        torch.kron(eye(3), band) / priors.light_shape**2 + torch.kron(eye(3) - 1 / 3, eye(9)) / priors.light_colour**2
    )
    # A picture's exposure is such that white is neither burnt out nor grey: it keeps bright light on dark skin apart
    # from dim light on light skin.
    expected, deviation = (x / C0 for x in priors.light_strength)
    constant = at["light"][::9]
    fixed[constant[:, None], constant] += 1 / (3 * deviation) ** 2
    offset[constant] = expected / (3 * deviation**2)
    return tuple(x.to(device, dtype) for x in (fixed, shape, offset))


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
