"""Gauss-Newton: normal equations of robust rows and priors, solved within bounds.

Iteratively re-weighted least squares (Face2Face, section 4): a step solves (J'WJ + P) d = -(J'W r + P (x - x0)) with
the weights W of the current residuals. Expressions stay within [0, 1] by an active set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .energy import Residuals


@dataclass
class NormalEquations:
    """Sums over all rows, a frame: matrix (F, C, C), gradient (F, C), energy (F,)."""

    matrix: Tensor
    gradient: Tensor
    energy: Tensor

    @classmethod
    def of(cls, terms: list[Residuals]) -> NormalEquations:
        matrix = gradient = energy = 0
        for t in terms:
            weighted = t.jacobian * t.weight[..., None]
            matrix = matrix + weighted.transpose(1, 2) @ t.jacobian
            gradient = gradient + (weighted * t.value[..., None]).sum(1)
            energy = energy + 0.5 * (t.weight * t.value.square()).sum(1)
        return cls(matrix, gradient, energy)


def solve_bounded(
    matrix: np.ndarray, gradient: np.ndarray, lower: np.ndarray, upper: np.ndarray, passes: int = 8
) -> np.ndarray:
    """Minimises 1/2 d'Md + g'd within lower <= d <= upper, M positive definite, by an active set.

    Bounds contain 0 (the current estimate is feasible). Exact once the set stops changing, which takes few passes;
    after the last the clipped step is returned, which is feasible in any case.
    """
    from scipy.linalg import cho_factor, cho_solve

    step = np.zeros_like(gradient)
    held = ((lower >= 0) & (gradient > 0)) | ((upper <= 0) & (gradient < 0))
    for _ in range(passes):
        free = ~held
        step[held] = np.where(gradient[held] > 0, lower[held], upper[held]) if _ == 0 else step[held]
        right = -gradient[free] - matrix[np.ix_(free, held)] @ step[held]
        step[free] = cho_solve(cho_factor(matrix[np.ix_(free, free)], lower=True, check_finite=False), right)
        outside = (step < lower - 1e-12) | (step > upper + 1e-12)
        step = np.clip(step, lower, upper)
        slope = matrix @ step + gradient
        release = held & (((step <= lower) & (slope < -1e-9)) | ((step >= upper) & (slope > 1e-9)))
        if not outside.any() and not release.any():
            break
        held = (held & ~release) | outside
    return step


def solve_frames(
    equations: NormalEquations,
    prior: Tensor,
    prior_gradient: Tensor,
    expression: Tensor,
    columns: slice,
    held: Tensor | None = None,
    damping: float = 1e-4,
) -> Tensor:
    """A step (F, P) for frames that share nothing. ``columns`` are the expression's, ``held`` (P,) bool stay put."""
    matrix = (equations.matrix + prior).double().cpu().numpy()
    gradient = (equations.gradient + prior_gradient).double().cpu().numpy()
    current = expression.double().cpu().numpy()
    keep = np.zeros(matrix.shape[1], bool) if held is None else held.cpu().numpy()
    out = np.zeros_like(gradient)
    for f in range(len(matrix)):
        lower, upper = _bounds(matrix.shape[1], [(columns, current[f])], keep)
        diagonal = np.einsum("ii->i", matrix[f])
        diagonal += damping * diagonal + 1e-9
        out[f] = solve_bounded(matrix[f], gradient[f], lower, upper)
    return torch.from_numpy(out).to(expression)


def solve_joint(
    equations: NormalEquations,
    shared_prior: tuple[Tensor, Tensor],
    frame_prior: tuple[Tensor, Tensor],
    expression: Tensor,
    columns: slice,
    held_shared: Tensor,
    held_frame: Tensor,
    damping: float,
) -> tuple[Tensor, Tensor]:
    """A step for what F frames share (S,) and for each frame (F, P), from one arrow-shaped system."""
    total, count = equations.matrix.shape[1], len(equations.matrix)
    shared = len(shared_prior[0])
    own = total - shared
    data = equations.matrix.double().cpu().numpy()
    slope = equations.gradient.double().cpu().numpy()
    p = frame_prior[0].double().cpu().numpy()
    matrix = np.zeros((shared + count * own,) * 2)
    gradient = np.zeros(shared + count * own)
    matrix[:shared, :shared] = data[:, :shared, :shared].sum(0) + np.diag(shared_prior[0].double().cpu().numpy())
    gradient[:shared] = slope[:, :shared].sum(0) + shared_prior[1].double().cpu().numpy()
    bounds = []
    for f in range(count):
        block = slice(shared + f * own, shared + (f + 1) * own)
        matrix[block, block] = data[f, shared:, shared:] + p[f]
        matrix[:shared, block] = data[f, :shared, shared:]
        matrix[block, :shared] = data[f, shared:, :shared]
        gradient[block] = slope[f, shared:] + frame_prior[1][f].double().cpu().numpy()
        bounds.append((slice(block.start + columns.start, block.start + columns.stop), expression[f].double().cpu().numpy()))
    keep = np.concatenate([held_shared.cpu().numpy(), np.tile(held_frame.cpu().numpy(), count)])
    lower, upper = _bounds(len(gradient), bounds, keep)
    diagonal = np.einsum("ii->i", matrix)
    diagonal += damping * diagonal + 1e-9
    step = torch.from_numpy(solve_bounded(matrix, gradient, lower, upper)).to(expression)
    return step[:shared], step[shared:].view(count, own)


def _bounds(size: int, expressions: list[tuple[slice, np.ndarray]], held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    for columns, current in expressions:
        lower[columns], upper[columns] = -current, 1 - current
    lower[held] = upper[held] = 0.0
    return lower, upper
