"""How well a fitted face agrees with a picture, in figures that don't depend on exposure.

Called once a frame, after the solver: a state and an observation enter, numbers leave. They are what the confidence is
made of (`fitting.tracking.confidence`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fitting.energy.photometric import Look
from fitting.energy.residuals import flip, projected
from fitting.energy.surface import Affine, SampledSurface
from fitting.policy.agreement import AgreementPolicy
from fitting.solver.state import FitState
from geometry.color import linear_to_srgb
from geometry.spherical_harmonics import sh_basis

LUMA = np.array([0.299, 0.587, 0.114])  # BT.601's shares of brightness
TINY = 0.1 / 255  # sRGB: less than eight bits tell

Array = np.ndarray


def agreement(
    surface: SampledSurface, state: FitState, look: Look, unhidden: Tensor, policy: AgreementPolicy = AgreementPolicy()
) -> dict[str, float]:
    """Figures of one frame, F = 1.

    Args:
        look: with which samples are seen, (1, N) 0 to 1: not behind the head or something else, in the picture.
        unhidden: (1, N) the same but for what hides them: not behind the head itself, wherever the picture ends.

    Returns:
        ``photometric``: typical difference of the colours (a robust standard deviation), of 255, in the light that
            makes it least: exposure, white balance and the direction of light say nothing of shape. Of grey pictures
            that of brightness alone.
        ``correlation``: of the brightness that is drawn with the one that is seen, -1 to 1. A factor of either changes
            nothing, and the picture's noise, a larger part of a dark face's variance, is taken off it, so that dark
            skin and dark pictures count as others do. What the drawn face can't explain (hair, a hand) counts for less.
        ``visible``: share of the face turned to the camera that is seen.
    """
    seen, level, some = look.seen, look.level, slice(None, None, policy.every)
    nine, axes = _some(surface.points, policy.every).at(state.motion), flip(state.light)
    rotated = nine.unflatten(2, (3, 3)) @ state.rotation.transpose(1, 2)[:, None]
    p, t1, t2 = rotated.unbind(2)
    placed = p * axes + state.translation[:, None]
    uv = projected(placed, state.log_focal.exp())
    points = (uv + (seen.frame_centre - seen.corner)[:, None]) * (level / seen.side)[:, None, None]
    observed, inside = seen.levels[level].colours(points)
    normal = torch.nn.functional.normalize(torch.linalg.cross(t1, t2), dim=-1)
    turned = -(normal * axes * torch.nn.functional.normalize(placed, dim=-1)).sum(-1).clamp(-1, 0)
    shown = linear_to_srgb((surface.albedo[some] * (sh_basis(normal) @ state.light))[0].clamp_min(1e-4))
    parts = (look.visible[:, some] * inside * turned)[0], shown, normal[0], observed[0], unhidden[:, some] * turned
    weight, shown, normal, observed, could = (x.cpu().double().numpy() for x in parts)
    typical, correlation = compiled_figures(weight, shown, normal, observed, policy)
    return {
        "photometric": float(255 * policy.robust * typical),
        "correlation": float(np.clip(correlation, -1, 1)),
        "visible": float(weight.sum() / max(could.sum(), 1e-6)),
    }


@lru_cache(maxsize=1)  # of a linear model the same in all of a person's frames
def _some(points: Affine, every: int) -> Affine:
    return points.every(every)


def compiled_figures(
    weight: Array, shown: Array, normal: Array, observed: Array, policy: AgreementPolicy
) -> tuple[float, float]:
    """`figures`, by the compiled kernel."""
    from fitting.energy import agreement_kernel as kernel

    p = policy
    limits = kernel.Limits(p.grey, p.floor, p.noise, p.signal, p.explained, p.outlying, p.rounds, TINY)
    return kernel.figures(weight, shown, normal, observed, LUMA, limits)


def figures(
    weight: Array, shown: Array, normal: Array, observed: Array, policy: AgreementPolicy
) -> tuple[float, float]:
    """Typical difference of the colours, of 1, and correlation: what the compiled kernel gives, in NumPy.

    Args:
        weight: (N,) how much each sample counts. shown: (N, 3) drawn, sRGB. normal: (N, 3) unit.
        observed: (N, 3) seen, sRGB. All in double precision.
    """
    bright, total = observed @ LUMA, max(weight.sum(), 1e-6)
    if np.sqrt((weight[:, None] * (observed - bright[:, None]) ** 2).sum() / 3 / total) < policy.grey:
        observed, shown = bright[:, None], (shown @ LUMA)[:, None]
    drawn, trust = _relit(shown, normal, observed, weight, policy)
    typical = _quantile(np.sqrt(((drawn - observed) ** 2).mean(-1)), weight, policy.explained)
    expected, bright = drawn.mean(-1), observed.mean(-1)
    mean = lambda values: (trust * values).sum() / max(trust.sum(), 1e-6)  # noqa: E731
    a, b = bright - mean(bright), expected - mean(expected)
    variance = max(mean(a * a) - policy.noise**2, policy.signal * mean(a * a))
    return typical, mean(a * b) / np.sqrt(variance * mean(b * b) + TINY**4)


def _relit(shown: Array, normal: Array, observed: Array, weight: Array, policy: AgreementPolicy) -> tuple[Array, Array]:
    """Colours (N, C), sRGB, of ``shown`` in the light and by the tone curve that make them most like ``observed``.

    Also (N,), how much of ``weight`` was left to each. A factor of first order in the normal and a constant a channel,
    by iteratively reweighted least squares (of absolute errors). sRGB is nearly a power of light, so that a change of
    exposure is a factor in it, too.
    """
    one = np.ones((shown.shape[1], len(shown), 1))
    columns = np.concatenate([shown.T[:, :, None] * np.concatenate([one[0], normal], 1), one], 2)  # (C, N, 5)
    brightness = (weight[:, None] * observed).sum() / max(weight.sum(), 1e-6) / observed.shape[1] + policy.floor
    ridge = 1e-3 * (weight.sum() * (shown**2).mean() + policy.floor**2) * np.eye(5)
    trust, made = weight, shown
    for _ in range(policy.rounds):
        by = (trust[:, None] * columns).swapaxes(1, 2)
        factor = np.linalg.solve(by @ columns + ridge, by @ observed.T[:, :, None])  # (C, 5, 1)
        made = (columns @ factor)[..., 0].T
        trust = weight / (1 + np.sqrt(((made - observed) ** 2).mean(-1)) / (policy.outlying * brightness)) ** 1.5
    return made, trust


def _quantile(values: Array, weight: Array, share: float) -> float:
    order = values.argsort()
    running = weight[order].cumsum()
    return values[order[min(np.searchsorted(running, share * running[-1]), len(values) - 1)]]
