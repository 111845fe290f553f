"""The photometric term of faces of which a part is hidden, or in a cast shadow: that part has a light of its own.

What a shadow leaves is light from elsewhere, so it's no multiple of the usual one. Its coefficients are unknowns of
each key frame, which stand after those of `Layout`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fitting.energy.photometric import Look, PhotometricRows, photometric_rows
from fitting.energy.priors import shade_prior
from fitting.energy.surface import SampledSurface
from fitting.occlusion.parts import lit_and_shaded
from fitting.policy.settings import Settings
from fitting.policy.weights import TermWeights
from fitting.solver.normal_equations import Quadratic
from fitting.solver.state import LIGHT, FitState, Layout, Unknowns


@dataclass(frozen=True)
class Parts:
    """What is known of a face's parts."""

    likely: Tensor  # (F, 3, N) how likely each sample shows each of `PARTS`
    near: Tensor  # see `neighbours`
    shade: Tensor | None  # (F, 9, 3) the light in the shadow; None where there is none


def rows_of_parts(
    surface: SampledSurface,
    state: FitState,
    look: Look,
    parts: Parts,
    weights: TermWeights,
    layout: Layout,
    settings: Settings,
) -> PhotometricRows:
    """As `photometric_rows` with the shared columns, of the samples that show skin.

    Where there is a light in a shadow, the rows have its columns in the end.
    """
    light = layout.slices["light"]
    states = [state] if parts.shade is None else [state, replace(state, light=parts.shade)]
    terms = [photometric_rows(surface, s, look, weights, layout, shared=True) for s in states]
    errors = torch.stack([t.squared for t in terms]) / 3
    shown = lit_and_shaded(parts.likely, errors, weights.colour_scale, parts.near, settings.occlusion)
    used = terms[0].seen * shown.any(0)
    least = weights.least_seen * len(surface)
    factor = (terms[0].seen.sum(1).clamp_min(least) / used.sum(1).clamp_min(least)).sqrt()
    by_channel = (shown * factor[:, None]).repeat_interleave(3, 2)  # (2, F, 3 N)
    rows = []
    for f in range(len(state)):
        lit, *shaded = (t.rows[f] * by_channel[k, f][:, None] for k, t in enumerate(terms))
        for r in shaded:
            own = r[:, light].clone()
            r[:, light] = 0
            lit = torch.cat([lit[:, :-1] + r[:, :-1], own, lit[:, -1:] + r[:, -1:]], 1)
        rows.append(lit)
    by_detail = sum(t.by_detail * by_channel[k] for k, t in enumerate(terms))
    squared = torch.where(shown[1], terms[-1].squared, terms[0].squared)
    return PhotometricRows(rows, by_detail, squared, used)


def without_shade(rows: list[Tensor]) -> list[Tensor]:
    """Rows of a term that the light in the shadow doesn't concern, with its columns."""
    return [torch.cat([r[:, :-1], r.new_zeros(len(r), LIGHT), r[:, -1:]], 1) for r in rows]


def with_shade(prior: Quadratic, shade: Tensor, state: FitState, settings: Settings, unknowns: Unknowns) -> Quadratic:
    """Precision (F, P + 27, P + 27) and gradient (F, P + 27) of the frames' own unknowns, and their shades'."""
    policy = settings.occlusion
    of_shade = shade_prior(shade, state.light, (policy.begun_with, policy.shade_std), settings.priors, unknowns)
    joined = [torch.block_diag(a, b) for a, b in zip(prior.precision, of_shade.precision)]
    return Quadratic(torch.stack(joined), torch.cat([prior.gradient, of_shade.gradient], 1))
