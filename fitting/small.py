"""One or two small pictures, explained pixel by pixel (`fitting.pixels`): all unknowns at once, by Gauss-Newton.

The noise is estimated with the rest. What is behind the head is guessed from the pixels around it, so pixels on its
outline count less; chroma is kept at half the resolution by JPEG and video, so near the outline it isn't looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from fitting.energy.priors import frame_prior, shared_prior
from fitting.observation.crop import Pixels
from fitting.pixels import Drawing
from fitting.solver.gauss_newton import NormalEquations, solve_joint
from fitting.solver.state import FitState, Layout
from fitting.tracking.frame import Fitter

STEPS, TRIES = 12, 6
DAMPING = (1e-4, 1e-6)  # share of the diagonal: at first, and at least
SETTLED = 1e-3  # relative fall of the energy that is none
BLUR = (0.6, 0.3)  # px out of focus, and deviation of its logarithm
BLUR_RANGE = (0.2, 4.0)  # px, that a step may lead to
NOISE = 0.018  # of 1, at least: of a camera's 0.01 most is left, but JPEG's errors aren't independent
OUTLIER = 4.0  # standard deviations: scale of the robust term
BEHIND = 0.25  # of 1: how far off the guess of what is behind may be
IDENTITY = 0.8  # of the usual deviation of identity's prior
WHOLE, SOME = 0.99, 0.05  # cover of pixels that show nothing but the head, and some of it
CHROMA = 2  # px from the outline, from which on chroma counts
OPPONENT = (  # orthonormal: luma of Rec. 601, and two directions across
    (0.4472, 0.8780, 0.1705),
    (0.0, 0.1906, -0.9817),
    (-0.8944, 0.4390, 0.0853),
)


@dataclass(frozen=True)
class SmallResult:
    state: FitState
    noise: float  # of 1: robust standard deviation of the residuals over the head, a channel
    energy: float  # of residuals as exact as `NOISE` at best and of the priors; compares heads that cover the same
    matrix: Tensor  # of the last system, see `solve_joint`
    held: Tensor  # which of its unknowns were held


def solve_small(
    fitter: Fitter, state: FitState, seen: Sequence[Pixels], progress: Callable[[], None] | None = None
) -> SmallResult:
    """The likeliest unknowns of F frames near a start whose outlines are some 2 px off at most.

    Steps of Gauss-Newton over all pixels, robust by Geman and McClure's weights, damped where the energy would rise.

    Args:
        state: of F frames; its ``detail`` and ``brows`` play no part.
        seen: F pictures, on the model's device.
        progress: called after every step, `STEPS` times at most.
    """
    layout, priors = fitter.layout, fitter.settings.priors
    priors = replace(priors, identity=IDENTITY * priors.identity)
    like, shared = state.light, layout.shared
    blur = like.new_full((len(seen),), BLUR[0])
    held = torch.zeros(shared, dtype=torch.bool, device=like.device)
    held[fitter.columns["log_focal"]] = fitter.focal_known
    held_frame = pad(fitter.held_frame, (0, 1))  # the blur's is a frame's last column
    drawn = _drawn(fitter, state, seen, blur)
    damping, determined = DAMPING[0], 0.0
    for _ in range(STEPS):
        noise, count = _noise(drawn)
        deviation = max(noise * (count / max(count - determined, 0.3 * count)) ** 0.5, NOISE)
        scales = [_scale(d, deviation) for d in drawn]
        rows = [_rows(d, scale, layout) for d, scale in zip(drawn, scales)]
        data = NormalEquations.of([rows])
        before = sum(map(_energy, drawn, scales))
        of_shared = shared_prior(state, fitter.focal_guess, priors, layout, fitter.sizes)
        of_frames = _with_blur(frame_prior(state, priors, layout), blur)
        behind = [d.behind for d in drawn]
        for _ in range(TRIES):
            step, matrix = solve_joint(
                data, of_shared, of_frames, state.expression, fitter.expression_columns, held, held_frame, damping
            )
            own = step[shared:].view(len(seen), -1)
            after = fitter.with_eye_look(state.stepped(step[:shared], own[:, :-1], layout))
            blurred = (blur * own[:, -1].exp()).clamp(*BLUR_RANGE)
            drawn_after = _drawn(fitter, after, seen, blurred, behind)
            energy = sum(map(_energy, drawn_after, scales))
            own = torch.cat([own[:, :-1], (blurred / blur).log()[:, None]], 1)
            fall = before - energy - _prior_change(step[:shared], *of_shared) - _prior_change(own, *of_frames)
            if fall > 0:
                break
            damping = max(8 * damping, 1e-3)
        determined = _determined(data, matrix, torch.cat([held, held_frame.repeat(len(seen))]), shared)
        if progress:
            progress()
        if not fall > 0:
            break
        damping = max(damping / 5, DAMPING[1])
        state, blur, drawn = after, blurred, [d.with_guess_behind() for d in drawn_after]
        if fall < SETTLED * before:
            break
    noise, _ = _noise(drawn)
    energy = sum(_energy(d, _scale(d, NOISE)) for d in drawn)
    energy += _prior_energy(*shared_prior(state, fitter.focal_guess, priors, layout, fitter.sizes))
    energy += _prior_energy(*_with_blur(frame_prior(state, priors, layout), blur))
    return SmallResult(state, noise, energy, matrix, torch.cat([held, held_frame.repeat(len(seen))]))


def _drawn(fitter: Fitter, state: FitState, seen: Sequence[Pixels], blur: Tensor, behind=None) -> list[Drawing]:
    behind = behind or [None] * len(seen)
    return [Drawing(fitter.model, state.frame(k), p, blur[k], b) for k, (p, b) in enumerate(zip(seen, behind))]


def _residual(drawn: Drawing) -> Tensor:
    """(H, W, 3): luma, chroma."""
    return (drawn.colour - drawn.seen.picture) @ drawn.colour.new_tensor(OPPONENT).T


def _noise(drawn: Sequence[Drawing]) -> tuple[float, int]:
    """Robust standard deviation of the residuals where there's nothing but the head, and how many they are."""
    r = torch.cat([_residual(d)[d.cover > WHOLE].flatten() for d in drawn]).abs()
    if not len(r):
        return 1.0, 1
    return float(r.clamp_max(3 * 1.48 * r.median()).square().mean().sqrt()), len(r)


def _scale(drawn: Drawing, noise: float) -> Tensor:
    """(H, W, 3): how far off each residual may be; infinite where it isn't looked at."""
    out = (noise**2 + (BEHIND * (1 - drawn.cover)).square()).sqrt()
    out = torch.where(drawn.cover > SOME, out, torch.inf)[..., None].repeat(1, 1, 3)
    outside = (drawn.cover <= WHOLE).to(out)[None, None]
    near = max_pool2d(outside, 2 * CHROMA + 1, stride=1, padding=CHROMA)[0, 0] > 0
    out[..., 1:] = out[..., 1:].masked_fill(near[..., None], torch.inf)
    return out


def _rows(drawn: Drawing, scale: Tensor, layout: Layout) -> Tensor:
    """(R, C + 2): the residuals' derivatives, by the blur last, and the residuals, weighted."""
    used, residual = drawn.cover > SOME, _residual(drawn)
    weight = 1 / scale / (1 + (residual / scale / OUTLIER).square())
    jacobian = torch.cat([drawn.jacobian(layout), drawn.by_blur()[..., None]], -1)[used]
    turned = drawn.colour.new_tensor(OPPONENT) @ jacobian
    rows = torch.cat([turned, residual[used][..., None]], -1) * weight[used][..., None]
    return rows.flatten(0, 1).double()


def _energy(drawn: Drawing, scale: Tensor) -> float:
    """Of Geman and McClure's robust term."""
    squared = (_residual(drawn) / scale).square()
    return float(0.5 * (squared / (1 + squared / OUTLIER**2)).sum())


def _with_blur(prior: tuple[Tensor, Tensor], blur: Tensor) -> tuple[Tensor, Tensor]:
    precision, slope = pad(prior[0], (0, 1, 0, 1)), pad(prior[1], (0, 1))
    precision[:, -1, -1] = BLUR[1] ** -2
    slope[:, -1] = (blur / BLUR[0]).log() / BLUR[1] ** 2
    return precision, slope


def _prior_change(step: Tensor, precision: Tensor, slope: Tensor) -> float:
    """What a step adds to a prior's energy: ``precision`` (S,), or (F, P, P) for steps (F, P)."""
    bent = precision * step if precision.dim() == 1 else (precision @ step[..., None])[..., 0]
    return float((step * (slope + 0.5 * bent)).sum())


def _prior_energy(precision: Tensor, slope: Tensor) -> float:
    """1/2 (x - x0)' P (x - x0) of ``precision`` as in `_prior_change` and ``slope`` P (x - x0)."""
    if precision.dim() == 1:
        return float(0.5 * (slope.square() / precision).sum())
    off = torch.linalg.pinv(precision.double(), hermitian=True) @ slope.double()[..., None]  # poses have no prior
    return float(0.5 * (slope * off[..., 0]).sum())


def _determined(data: NormalEquations, matrix: Tensor, held: Tensor, shared: int) -> float:
    """How many unknowns the pixels rather than the priors determine: the trace of (J'J + P)^-1 J'J."""
    free = (~held).nonzero()[:, 0]
    inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(matrix[free[:, None], free]).L)
    whole = torch.zeros_like(matrix)
    own = data.matrix.shape[1] - shared
    for f, block in enumerate(data.matrix.double()):
        at = torch.cat([torch.arange(shared), shared + f * own + torch.arange(own)]).to(matrix.device)
        whole[at[:, None], at] += block
    return float((inverse * whole[free[:, None], free]).sum())
