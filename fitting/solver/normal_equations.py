"""Gauss-Newton: normal equations of robust rows and priors, solved within bounds.

Iteratively re-weighted least squares (Face2Face, section 4): a step solves (J'WJ + P) d = -(J'W r + P (x - x0)) with
the weights W of the current residuals. Expressions and joints stay within their bounds by an active set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fitting.solver import factorization
from fitting.solver.bounds import solve_bounded

BLOCK = 48
"""Columns, of which a product with all of the others is as fast as larger ones are."""


@dataclass(frozen=True)
class NormalEquations:
    """Sums over all rows, a frame: matrix (F, C, C), gradient (F, C), energy (F,)."""

    matrix: Tensor
    gradient: Tensor
    energy: Tensor

    @classmethod
    def of(cls, terms: list[Sequence[Tensor]]) -> NormalEquations:
        """``terms``: for each term F tensors (R, C + 1), rows times the root of their weight, the residual last."""
        products = [torch.stack([squared(r) for r in rows]) for rows in terms]
        total = sum(products[1:], products[0])
        return cls(total[:, :-1, :-1], total[:, :-1, -1], 0.5 * total[:, -1, -1])


def squared(rows: Tensor) -> Tensor:
    """R' R of rows (N, C): by blocks of columns, and those below the diagonal are those above it, turned over."""
    count = rows.shape[1]
    out = rows.new_empty(count, count)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        out[first:last, first:] = rows[:, first:last].T @ rows[:, first:]
        out[last:, first:last] = out[first:last, last:].T
    return out


@dataclass(frozen=True)
class Quadratic:
    """1/2 (x - x0)' P (x - x0) at a state: what a prior adds to the normal equations."""

    precision: Tensor  # (..., C, C); of `fitting.energy.temporal` its diagonal (..., C)
    gradient: Tensor  # (..., C): P (x - x0)


Bounds = tuple[Tensor, Tensor]
"""Least and largest step, of the shape of the unknowns, in double; equal (0) where an unknown is held."""


def solve_frames(
    equations: NormalEquations, prior: Quadratic, bounds: Bounds, damping: float = 1e-4
) -> tuple[Tensor, Tensor]:
    """A step (F, P) for frames that share nothing, and the matrices (F, P, P) it was solved with, in double.

    ``bounds`` are (F, P), see `fitting.solver.state.Unknowns.frame_bounds`.
    """
    matrix = (equations.matrix + prior.precision).double()
    gradient = (equations.gradient + prior.gradient).double()
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal += damping * diagonal + 1e-9
    steps = [solve_bounded(*system) for system in zip(matrix, gradient, *bounds)]
    return torch.stack(steps).to(equations.gradient), matrix


def solve_joint(
    equations: NormalEquations,
    shared: Quadratic,
    frames: Quadratic,
    bounds: tuple[Bounds, Bounds],
    damping: float,
    reduction: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """A step (S + F P,) for what F frames share, then for each frame, from one arrow-shaped system; and its matrix.

    The matrix is without the damping, whose only purpose is the step.

    Args:
        shared: prior with a precision (S, S). frames: prior with precisions (F, P, P).
        bounds: of the shared unknowns (S,), of the frames' (F, P).
        reduction: what eliminated unknowns take from the matrix and the gradient (`fitting.solver.detail`).
    """
    total, count = equations.matrix.shape[1], len(equations.matrix)
    own = total - len(shared.precision)
    first = total - own
    data, slope, p = equations.matrix.double(), equations.gradient.double(), frames.precision.double()
    matrix = data.new_zeros((first + count * own,) * 2)
    gradient = data.new_zeros(first + count * own)
    matrix[:first, :first] = data[:, :first, :first].sum(0) + shared.precision.double()
    gradient[:first] = slope[:, :first].sum(0) + shared.gradient.double()
    for f in range(count):
        block = slice(first + f * own, first + (f + 1) * own)
        matrix[block, block] = data[f, first:, first:] + p[f]
        matrix[:first, block] = data[f, :first, first:]
        matrix[block, :first] = data[f, first:, :first]
        gradient[block] = slope[f, first:] + frames.gradient[f].double()
    if reduction is not None:
        matrix -= reduction[0]
        gradient -= reduction[1]
    lower, upper = (torch.cat([of_shared, of_frames.flatten()]) for of_shared, of_frames in zip(*bounds))
    damped = matrix + torch.diag(damping * matrix.diagonal() + 1e-9)
    return solve_bounded(damped, gradient, lower, upper).to(equations.gradient), matrix


def less_told(matrix: Tensor, shared: Quadratic, frames: Quadratic, alike: float) -> Tensor:
    """The matrix of `solve_joint`, of F frames whose errors go together by a correlation ``alike``.

    Then all of them tell as much of what they share as F / (1 + (F - 1) alike) independent ones.
    """
    share = 1 / (1 + (len(frames.precision) - 1) * alike)
    return share * matrix + (1 - share) * torch.block_diag(shared.precision, *frames.precision).to(matrix)


def spread(matrix: Tensor, held: Tensor) -> Tensor:
    """Posterior standard deviations (..., C): roots of the diagonal of the inverse of J'WJ + P at the optimum.

    What is ``held`` (C,) has none: 0. What neither data nor a prior determines has an infinite one. Bounds are left
    out: a shape that rests at zero has the spread it would have if it could be negative.
    """
    free = (~held).nonzero().flatten()
    out = matrix.new_zeros(matrix.shape[:-1])
    out[..., free] = factorization.variances(matrix[..., free[:, None], free]).clamp_min(0).sqrt()
    return out.float()
