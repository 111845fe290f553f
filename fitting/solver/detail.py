"""Each surface sample's own albedo, eliminated from the joint system.

A face has more colour than any basis holds: moles, beards, make-up, baked shadows. Left out, that colour is explained
by moving the surface. So every sample has an albedo of its own beside the model's, shared by all key frames. It stands
in rows of its own sample only, so it's eliminated exactly (Schur complement): what remains of the photometric term is
how much the key frames disagree about a point's colour, which is parallax, and what the prior leaves of shading. Of a
single frame each row has an albedo of its own, and the complement is that row, counting less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Elimination:
    """The 3 N values' part of a joint system of T unknowns (S shared, then P a frame)."""

    by_unknowns: Tensor  # (3 N, T) mixed second derivatives
    precision: Tensor  # (3 N,)
    slope: Tensor  # (3 N,)

    @classmethod
    def of(cls, rows: Sequence[Tensor], by: Tensor, detail: Tensor, prior: float, shared: int) -> Elimination:
        """From the photometric term's rows.

        Args:
            rows: F of (3 N, C + 1), weighted, the residual last; ``shared`` of the columns are the frames' common ones.
            by: (F, 3 N) derivative of each row by its own sample's albedo, weighted likewise.
            detail: (N, 3) the current estimate. prior: precision of each value about zero, above 0.
        """
        frames, own = len(rows), rows[0].shape[1] - 1 - shared
        mixed = by.new_zeros(by.shape[1], shared + frames * own)
        precision = by.square().sum(0) + prior
        slope = prior * detail.flatten()
        for f, r in enumerate(rows):
            part = r * by[f][:, None]
            mixed[:, :shared] += part[:, :shared]
            mixed[:, shared + f * own : shared + (f + 1) * own] = part[:, shared:-1]
            slope = slope + part[:, -1]
        return cls(mixed, precision, slope)

    def reduction(self) -> tuple[Tensor, Tensor]:
        """What to take from the system's matrix (T, T) and gradient (T,)."""
        scaled = self.by_unknowns / self.precision[:, None]
        return scaled.T @ self.by_unknowns, scaled.T @ self.slope

    def step(self, step: Tensor) -> Tensor:
        """The change (N, 3) of the detail that goes with a step (T,) of the unknowns."""
        return (-(self.slope + self.by_unknowns @ step) / self.precision).view(-1, 3)


@dataclass(frozen=True)
class RowByRow:
    """The same of a single frame: ``rows`` stand for its own, and nothing has to be taken from their products.

    Where a row with the residual r has the derivative d by its albedo a of precision p, the best albedo leaves
    p / (d^2 + p) of the row's square, about a residual of r - d a.
    """

    rows: Tensor  # (R, C + 1), of the samples that are seen
    used: Tensor  # (R,) int64: which of the 3 N rows they are
    left: Tensor  # (R,) the root of what is left of each
    pull: Tensor  # (R,) d / (d^2 + p)
    detail: Tensor  # (N, 3) the current estimate

    @classmethod
    def of(cls, rows: Tensor, by: Tensor, detail: Tensor, prior: float, seen: Tensor) -> RowByRow:
        """``rows`` (3 N, C + 1), ``by`` (3 N,), ``detail`` and ``prior`` as of `Elimination.of`; ``seen``: (N,)."""
        used = (seen > 0).repeat_interleave(3).nonzero().flatten()
        kept, d = rows[used], by[used]
        precision = d.square() + prior
        kept[:, -1] -= d * detail.flatten()[used]
        left = (prior / precision).sqrt()
        return cls(kept.mul_(left[:, None]), used, left, d / precision, detail)

    def step(self, step: Tensor) -> Tensor:
        """The change (N, 3) of the detail that goes with a step (C,) of the unknowns."""
        after = torch.zeros_like(self.detail).flatten()
        after[self.used] = -self.pull * (self.rows[:, :-1] @ step + self.rows[:, -1]) / self.left
        return after.view(-1, 3) - self.detail


def absorb(basis: Tensor, reflectance: Tensor, detail: Tensor, precision: float) -> tuple[Tensor, Tensor]:
    """Gives the reflectance model (A,) what it can explain of the detail (N, 3), and returns both anew.

    The joint solution doesn't care which of the two a colour stands in, but a rendering shows the model's alone.

    Args:
        basis: (N, 3, A), of the samples' albedo. precision: of each of the 3 N colours against the prior's 1.
    """
    if not len(reflectance):
        return reflectance, detail
    b = basis.flatten(0, 1)
    normal = precision * b.T @ b + torch.eye(len(reflectance), dtype=b.dtype, device=b.device)
    change = torch.linalg.solve(normal, precision * b.T @ detail.flatten() - reflectance)  # regular: 1 on the diagonal
    return reflectance + change, detail - basis @ change
