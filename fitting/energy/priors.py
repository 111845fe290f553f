"""What is known before looking: statistics of faces, light and gaze.

Each prior is a quadratic 1/2 (x - x0)' P (x - x0); it adds P to the normal equations' matrix and P (x - x0) to the
gradient. What the model's blocks say of identity, reflectance, expressions and joints comes from `Unknowns`, how people
differ from `facemodel.people`, all else from `fitting.policy.weights.Priors` (Face2Face, eq. 7). That a face moves
smoothly is in `fitting.energy.temporal`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.people import People
from fitting.policy.weights import Priors
from fitting.solver import factorization
from fitting.solver.normal_equations import Quadratic
from fitting.solver.state import LIGHT, POSE, FitState, Unknowns
from geometry.spherical_harmonics import C0


@dataclass(frozen=True, eq=False)
class IdentityPrior:
    """A normal distribution of the identity's coefficients."""

    mean: Tensor  # (I,)
    precision: Tensor  # (I, I), in double

    @classmethod
    def of_model(cls, unknowns: Unknowns, priors: Priors, sizes: Tensor) -> IdentityPrior:
        """What the model's block says, with grown-ups' sizes.

        ``sizes`` (I,): by what share a unit of each coefficient enlarges the face (`relative_sizes`).
        """
        std = unknowns.part(unknowns.std, "identity")
        precision = std**-2 + (sizes.double() / priors.size).square()
        return cls(unknowns.part(unknowns.mean, "identity").to(sizes), torch.diag(precision))

    @classmethod
    def of_people(cls, people: People, priors: Priors) -> IdentityPrior:
        """What was measured of people."""
        return cls(people.mean, torch.linalg.inv(people.covariance(priors.people_rest)))

    @property
    def stds(self) -> Tensor:
        """(I,) of each coefficient, whatever the others are."""
        return factorization.variances(self.precision).sqrt()


def shared_prior(
    state: FitState, focal_guess: float, priors: Priors, unknowns: Unknowns, identity: IdentityPrior
) -> Quadratic:
    """Of identity, reflectance and focal length: precision (S, S), gradient (S,)."""
    at, like = unknowns.layout.slices, state.identity
    reflectance = unknowns.part(unknowns.std, "reflectance").to(like) ** -2
    others = torch.cat([reflectance, like.new_full((1,), priors.log_focal**-2)])
    precision = torch.block_diag(identity.precision.to(like), torch.diag(others))
    offset = torch.cat(
        [
            like - identity.mean.to(like),
            state.reflectance - unknowns.mean[at["reflectance"]].to(like),
            (state.log_focal - math.log(focal_guess))[None],
        ]
    )
    return Quadratic(precision, precision @ offset)


def relative_sizes(model: FaceModel) -> Tensor:
    """(I,): by what share a unit of each identity coefficient enlarges the face (or the head) about its middle."""
    blocks = model.blocks
    rest = [blocks[b].mean if b in blocks else model.mean.new_zeros(0) for b in ("identity", "expression", "joints")]
    there, face = model.linearize(*rest), model.region("face")
    if not face.any():
        face = torch.ones_like(face)
    x = model.mean[face] - model.mean[face].mean(0)
    return torch.einsum("ivk,vk->i", there.identity[:, face], x) / x.square().sum()


def frame_prior(
    state: FitState, priors: Priors, unknowns: Unknowns, exposure: Tensor, alone: bool = False
) -> Quadratic:
    """Of each frame's expression, joints, gaze and light, without time: precision (F, P, P), gradient (F, P).

    ``exposure``: (F,) of `Observation`; in a dark picture there is less light, and skin is what it is. ``alone``:
    nothing is known of what the face did before, so that it's likely at rest. Expressions that only go one way from
    there are fewer and smaller then, as by an exponential distribution.
    """
    fixed, light, white, offset, white_offset = _constants(priors, unknowns, state.light.dtype, state.light.device)
    strength = state.light[:, 0].mean(-1).abs().clamp_min(0.1)  # (F,)
    precision = (fixed + white / exposure.square()[:, None, None]) + light / strength.square()[:, None, None]
    offset = offset + white_offset / exposure[:, None]
    values = torch.cat(
        [
            state.light.new_zeros(len(state), POSE),
            state.motion,
            state.gaze.flatten(1),
            state.light.transpose(1, 2).flatten(1),  # channel-major as the layout has it
        ],
        1,
    )
    gradient = (precision @ values[..., None])[..., 0] - offset
    if alone:
        gradient[:, unknowns.layout.own("expression")] += priors.at_rest * unknowns.leaving_rest.to(gradient)
    return Quadratic(precision, gradient)


def shade_prior(
    shade: Tensor, light: Tensor, share: tuple[float, float], priors: Priors, unknowns: Unknowns
) -> Quadratic:
    """Of the light (F, 9, 3) that a cast shadow leaves of the usual one (F, 9, 3): (F, 27, 27) and (F, 27).

    Its bands above the constant one are small and it's nearly white, whatever its strength; that is about a ``share``
    of the usual light's: mean, and standard deviation as a share of it.
    """
    _, shape, *_ = _constants(priors, unknowns, shade.dtype, shade.device)
    own = unknowns.layout.own("light")
    strength = shade[:, 0].mean(-1).abs().clamp_min(priors.dimmest)
    precision = shape[own, own] / strength.square()[:, None, None]
    values = shade.transpose(1, 2).flatten(1)
    gradient = (precision @ values[..., None])[..., 0]
    expected = share[0] * light[:, 0].mean(-1).clamp_min(priors.dimmest)
    std = share[1] * expected
    constant = torch.arange(0, LIGHT, 9, device=shade.device)  # in each channel
    precision[:, constant[:, None], constant] += (1 / (3 * std).square())[:, None, None]
    gradient[:, constant] += ((shade[:, 0].mean(-1) - expected) / (3 * std.square()))[:, None]
    return Quadratic(precision, gradient)


@lru_cache(maxsize=8)
def _constants(priors: Priors, unknowns: Unknowns, dtype, device) -> tuple[Tensor, ...]:
    """Precisions (P, P): that doesn't change, of light over its squared strength, of light in a picture as bright as
    usual; then P x0 (P,) of the first and of the last.
    """
    layout = unknowns.layout
    at = {n: torch.arange(c.start, c.stop) - layout.shared for n, c in layout.slices.items()}
    fixed, shape, white = torch.zeros(3, layout.frame, layout.frame, dtype=torch.float64)
    offset, white_offset = torch.zeros(2, layout.frame, dtype=torch.float64)
    precision = unknowns.part(unknowns.std, "motion").cpu() ** -2
    fixed[at["motion"], at["motion"]] = precision
    offset[at["motion"]] = precision * unknowns.part(unknowns.mean, "motion").cpu()

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
    expected, std = (x / C0 for x in priors.light_strength)
    constant = at["light"][::9]
    white[constant[:, None], constant] = 1 / (3 * std) ** 2
    white_offset[constant] = expected / (3 * std**2)
    return tuple(x.to(device, dtype) for x in (fixed, shape, white, offset, white_offset))
