"""The photometric term of faces of which a part is hidden, or in a cast shadow: that part has a light of its own.

What a shadow leaves is light from elsewhere, so it's no multiple of the usual one. Its coefficients are unknowns of
each key frame, which stand after those of `Layout`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fitting.energy.priors import Priors, light_shape_prior
from fitting.energy.rows import PhotometricRows, photometric_rows
from fitting.energy.terms import SurfaceGeometry, Weights
from fitting.observation.crop import Observation
from fitting.occlusion.parts import lit_and_shaded
from fitting.solver.state import LIGHT, FitState, Layout

BEGUN_WITH = 0.4  # share of the usual light that a shadow is taken to leave at first


def rows_of_parts(
    geometry: SurfaceGeometry,
    state: FitState,
    shade: Tensor | None,
    seen: Observation,
    level: int,
    visible: Tensor,
    parts: Tensor,
    near: Tensor,
    weights: Weights,
    layout: Layout,
) -> PhotometricRows:
    """As `photometric_rows` with the shared columns, of the samples that show skin.

    Args:
        shade: (F, 9, 3) the light in the shadow; None where there is none. The rows have its columns in the end.
        parts: (F, 3, N) how likely each of ``PARTS`` is.
        near: see `neighbours`.
    """
    light = layout.slices()["light"]
    states = [state] if shade is None else [state, replace(state, light=shade)]
    terms = [photometric_rows(geometry, s, seen, level, visible, weights, layout, shared=True) for s in states]
    shown = lit_and_shaded(parts, torch.stack([t.squared for t in terms]) / 3, weights.colour_scale, near)
    used = terms[0].seen * shown.any(0)
    least = 0.05 * visible.shape[1]  # as in `photometric`
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


def with_shade(prior: tuple[Tensor, Tensor], shade: Tensor, priors: Priors, layout: Layout) -> tuple[Tensor, Tensor]:
    """Precision (F, P + 27, P + 27) and gradient (F, P + 27) of the frames' own unknowns, and their shades'."""
    precision, gradient = light_shape_prior(shade, priors, layout)
    joined = [torch.block_diag(a, b) for a, b in zip(prior[0], precision)]
    return torch.stack(joined), torch.cat([prior[1], gradient], 1)
