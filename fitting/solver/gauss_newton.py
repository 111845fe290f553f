"""Gauss-Newton: normal equations of robust rows and priors, solved within bounds.

Iteratively re-weighted least squares (Face2Face, section 4): a step solves (J'WJ + P) d = -(J'W r + P (x - x0)) with
the weights W of the current residuals. Expressions stay within [0, 1] by an active set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class NormalEquations:
    """Sums over all rows, a frame: matrix (F, C, C), gradient (F, C), energy (F,)."""

    matrix: Tensor
    gradient: Tensor
    energy: Tensor

    @classmethod
    def of(cls, terms: list[Sequence[Tensor]]) -> NormalEquations:
        """``terms``: for each term F tensors (R, C + 1), rows times the root of their weight, the residual last."""
        products = [torch.stack([r.T @ r for r in rows]) for rows in terms]
        total = sum(products[1:], products[0])
        return cls(total[:, :-1, :-1], total[:, :-1, -1], 0.5 * total[:, -1, -1])


def solve_bounded(matrix: Tensor, gradient: Tensor, lower: Tensor, upper: Tensor, passes: int = 20) -> Tensor:
    """Minimises 1/2 d'Md + g'd within lower <= d <= upper, M (C, C) positive definite, by block principal pivoting.

    Bounds contain 0 (the current estimate is feasible). Each pass solves for the unknowns that aren't held at a bound,
    then exchanges all that are on the wrong side: free ones beyond a bound, held ones that the slope draws inwards
    (Judice and Pires 1994; their rule against cycles, one exchange at a time, is kept). Exact once none is wrong, which
    takes two to six passes; if that doesn't come to pass, the best feasible step met, which is none worse than 0.
    Double precision.
    """
    fixed = lower == upper
    low = (lower >= 0) & (gradient > 0) | fixed  # held at their lower bound
    high = (upper <= 0) & (gradient < 0) & ~fixed
    scale = gradient.abs().max() * 1e-9 + 1e-12
    best, least = torch.zeros_like(gradient), 0.0
    fewest, patience = len(gradient) + 1, 3
    for _ in range(passes):
        free = (~(low | high)).nonzero().flatten()
        step = torch.where(low, lower, torch.where(high, upper, torch.zeros_like(lower)))
        right = -gradient[free] - matrix[free] @ step
        factor = torch.linalg.cholesky_ex(matrix[free[:, None], free]).L
        step[free] = torch.cholesky_solve(right[:, None], factor)[:, 0]
        # The slope belongs to the step before it's clipped: of a clipped one, the sets can go round in circles.
        slope = matrix @ step + gradient
        below, above = step < lower - 1e-9, step > upper + 1e-9
        release = ~fixed & (low & (slope < -scale) | high & (slope > scale))
        wrong = below | above | release
        step = torch.minimum(torch.maximum(step, lower), upper)
        if not wrong.any():
            return step
        value = float(0.5 * step @ matrix @ step + gradient @ step)
        if value < least:
            best, least = step, value
        if (count := int(wrong.sum())) < fewest:
            fewest, patience = count, 3
        elif patience:
            patience -= 1
        else:
            wrong[: int(wrong.nonzero()[-1])] = False
        low, high = low & ~(release & wrong) | below & wrong, high & ~(release & wrong) | above & wrong
    return best


def solve_frames(
    equations: NormalEquations,
    prior: Tensor,
    prior_gradient: Tensor,
    expression: Tensor,
    columns: slice,
    held: Tensor,
    damping: float = 1e-4,
) -> tuple[Tensor, Tensor]:
    """A step (F, P) for frames that share nothing, and the matrices (F, P, P) it was solved with, in double.

    ``columns`` are the expression's, ``held`` (P,) bool stay put.
    """
    matrix = (equations.matrix + prior).double()
    gradient = (equations.gradient + prior_gradient).double()
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal += damping * diagonal + 1e-9
    out = []
    for f in range(len(matrix)):
        lower, upper = _bounds(matrix[f], [(columns, expression[f])], held)
        out.append(solve_bounded(matrix[f], gradient[f], lower, upper))
    return torch.stack(out).to(expression), matrix


def solve_joint(
    equations: NormalEquations,
    shared_prior: tuple[Tensor, Tensor],
    frame_prior: tuple[Tensor, Tensor],
    expression: Tensor,
    columns: slice,
    held_shared: Tensor,
    held_frame: Tensor,
    damping: float,
    reduction: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """A step (S + F P,) for what F frames share, then for each frame, from one arrow-shaped system; and its matrix.

    The matrix is without the damping, whose only purpose is the step.

    ``reduction``: what eliminated unknowns take from the matrix and the gradient (`fitting.solver.detail`).
    """
    total, count = equations.matrix.shape[1], len(equations.matrix)
    shared = len(shared_prior[0])
    own = total - shared
    data, slope, p = equations.matrix.double(), equations.gradient.double(), frame_prior[0].double()
    matrix = data.new_zeros((shared + count * own,) * 2)
    gradient = data.new_zeros(shared + count * own)
    matrix[:shared, :shared] = data[:, :shared, :shared].sum(0) + torch.diag(shared_prior[0].double())
    gradient[:shared] = slope[:, :shared].sum(0) + shared_prior[1].double()
    bounds = []
    for f in range(count):
        start = shared + f * own
        block = slice(start, start + own)
        matrix[block, block] = data[f, shared:, shared:] + p[f]
        matrix[:shared, block] = data[f, :shared, shared:]
        matrix[block, :shared] = data[f, shared:, :shared]
        gradient[block] = slope[f, shared:] + frame_prior[1][f].double()
        bounds.append((slice(start + columns.start, start + columns.stop), expression[f]))
    if reduction is not None:
        matrix -= reduction[0]
        gradient -= reduction[1]
    lower, upper = _bounds(matrix, bounds, torch.cat([held_shared, held_frame.repeat(count)]))
    damped = matrix + torch.diag(damping * matrix.diagonal() + 1e-9)
    return solve_bounded(damped, gradient, lower, upper).to(expression), matrix


def spread(matrix: Tensor, held: Tensor) -> Tensor:
    """Posterior standard deviations (..., C): roots of the diagonal of the inverse of J'WJ + P at the optimum.

    What is ``held`` (C,) has none: 0. Bounds are left out: a shape that rests at zero has the spread it would have
    if it could be negative.
    """
    free = (~held).nonzero().flatten()
    part = matrix[..., free[:, None], free]
    inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(part).L)
    out = matrix.new_zeros(matrix.shape[:-1])
    out[..., free] = inverse.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    return out.float()


def _bounds(matrix: Tensor, expressions: list[tuple[slice, Tensor]], held: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of the step: expressions stay within [0, 1], what is held doesn't move."""
    lower, upper = matrix.new_full((len(matrix),), -torch.inf), matrix.new_full((len(matrix),), torch.inf)
    for columns, current in expressions:
        lower[columns], upper[columns] = -current.to(lower), 1 - current.to(upper)
    lower[held] = upper[held] = 0.0
    return lower, upper
