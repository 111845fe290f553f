"""Rows of the least-squares problem, each times the root of its weight, the residual as the last column.

One matrix product of such rows with themselves gives the normal equations' matrix, gradient and energy at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fitting.energy.samples import LandmarkSamples
from fitting.energy.terms import Residuals, SurfaceGeometry, Weights, across_eyes, eye_rotation, landmarks, photometric
from fitting.observation.crop import Observation
from fitting.solver.state import FitState, Layout


@dataclass(frozen=True)
class PhotometricRows:
    """The photometric term of F frames."""

    rows: list[Tensor]  # F of (R, C + 1)
    by_detail: Tensor | None  # (F, 3 N), weighted likewise, where the shared columns are wanted
    squared: Tensor  # (F, N) squared error a sample, summed over the channels
    seen: Tensor  # (F, N) how much of a sample is seen, 0 to 1


def weighted(terms: Residuals) -> Tensor:
    """(F, R, C + 1)"""
    rows = torch.cat([terms.jacobian, terms.value[..., None]], -1)
    return rows * terms.weight.sqrt()[..., None]


def photometric_rows(
    geometry: SurfaceGeometry,
    state: FitState,
    seen: Observation,
    level: int,
    visible: Tensor,
    weights: Weights,
    layout: Layout,
    shared: bool,
) -> PhotometricRows:
    """`fitting.energy.terms.photometric` as weighted rows: by the compiled kernel on the CPU, by that reference elsewhere.

    Without the shared columns, rows of samples that aren't seen may be left out.
    """
    if state.light.device.type == "cpu" and state.light.dtype == torch.float32:
        return _compiled(geometry, state, seen, level, visible, weights, layout, shared)
    return by_reference(geometry, state, seen, level, visible, weights, layout, shared)


def landmark_rows(
    s: LandmarkSamples,
    neutral: Tensor,
    state: FitState,
    seen: Observation,
    weights: Weights,
    layout: Layout,
    shared: bool,
) -> tuple[Tensor, Tensor]:
    """`fitting.energy.terms.landmarks` as weighted rows (F, R, C + 1), and the squared distances (F, L)."""
    if state.light.device.type == "cpu" and state.light.dtype == torch.float32:
        return _compiled_landmarks(s, neutral, state, seen, weights, layout, shared)
    terms, squared = landmarks(s, neutral, state, seen, weights, layout, shared)
    return weighted(terms), squared


def _compiled_landmarks(s, neutral, state, seen, weights, layout, shared) -> tuple[Tensor, Tensor]:
    from fitting.energy.kernels import landmark_rows as kernel

    frames, count = len(state), len(neutral)
    first = layout.shared if shared else 0
    out = torch.zeros(frames, 2 * (count + len(s.pairs)), first + layout.frame + 1)
    squared = torch.empty(frames, count)
    centre = s.centre_mean + s.centre_identity @ state.identity
    turns = [t.contiguous().numpy() for t in eye_rotation(state.gaze)]
    observed = (seen.landmarks - seen.frame_centre).numpy()
    unit = (1 / seen.face_size).numpy()
    reliability = (s.weights if seen.reliability is None else seen.reliability).expand(frames, count).numpy()
    before, after = [x.numpy() for x in (neutral, s.normal)], [x.numpy() for x in (s.eye, centre, s.pairs)]
    scales = [np.float32(x) for x in (weights.landmark_scale, weights.landmarks, weights.pair_scale)]
    scales.append(weights.by_pair(s).numpy())
    across = across_eyes(seen, s).numpy()
    for f in range(frames):
        kernel(
            *before, reliability[f], *after, s.eye_pairs, s.eye_corners.numpy(), *(t[f] for t in turns),
            state.rotation[f].contiguous().numpy(), state.translation[f].numpy(), state.log_focal.exp().numpy()[()],
            observed[f], across[f], state.brows.numpy(), unit[f], state.expression[f].contiguous().numpy(),
            s.expression.numpy(), s.identity.numpy(), s.centre_identity.numpy(), shared, *scales,
            out[f].numpy(), squared[f].numpy(),
        )  # fmt: skip
    return out, squared


def by_reference(geometry, state, seen, level, visible, weights, layout, shared) -> PhotometricRows:
    """In plain torch, on any device."""
    terms, squared, weight = photometric(geometry, state, seen, level, visible, weights, layout, shared)
    rows = weighted(terms)
    by_detail = terms.by_detail * terms.weight.sqrt() if shared else None
    return PhotometricRows(list(rows), by_detail, squared, weight)


def _compiled(geometry, state, seen, level, visible, weights, layout, shared) -> PhotometricRows:
    from fitting.energy.kernels import photometric_rows as kernel

    s, frames, count = geometry.samples, len(state), len(geometry.samples)
    first = layout.shared if shared else 0
    width = first + layout.frame + 1
    scale, offset = level / seen.side, seen.frame_centre - seen.corner
    focal = state.log_focal.exp()
    images = seen.levels[level].stack.permute(0, 2, 3, 1).contiguous()
    bases = [b.numpy() for b in (s.expression, s.identity, s.albedo)]
    flat = s.expression.view(9 * count, -1)
    squared, weight = torch.empty(2, frames, count)
    by_detail = torch.zeros(frames, 3 * count)
    rows = []
    for f in range(frames):
        nine = torch.addmv(geometry.neutral.view(-1), flat, state.expression[f]).view(count, 9)
        out = torch.zeros(3 * count, width) if shared else torch.empty(3 * count, width)
        used, total = kernel(
            nine.numpy(), geometry.albedo.numpy(), visible[f].numpy(), images[f].numpy(),
            state.rotation[f].contiguous().numpy(), state.translation[f].numpy(), focal.numpy()[()], offset[f].numpy(),
            scale[f].numpy()[()], state.light[f].contiguous().numpy(), np.float32(weights.colour_scale), *bases,
            shared, not shared, first, out.numpy(), by_detail[f].numpy(), squared[f].numpy(), weight[f].numpy(),
        )  # fmt: skip
        total = max(total, 0.05 * count)
        factor = (weights.colour / weights.colour_scale**2 / 3 / total) ** 0.5
        used = 3 * count if shared else used
        rows.append(out[:used].mul_(factor))
        by_detail[f] *= factor
    return PhotometricRows(rows, by_detail if shared else None, squared, weight)
