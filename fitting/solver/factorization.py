"""Symmetric positive semi-definite systems, with an answer where data and priors leave something open.

Enter a matrix J'WJ + P and a gradient, leave a step or variances. A direction that nothing determines doesn't move, and
its variance is infinite. What is determined is answered as if the rest weren't there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """x (C,) with matrix (C, C) x = right (C,); the shortest one, in equilibrated unknowns, of a singular matrix."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if not info and _regular(factor):
        return torch.cholesky_solve(right[:, None], factor)[:, 0]
    values, vectors, scale = _spectrum(matrix)
    inverse = torch.where(values > 0, 1 / values.clamp_min(torch.finfo(values.dtype).tiny), 0.0)
    return scale * (vectors @ (inverse * (vectors.T @ (scale * right))))


def variances(matrix: Tensor) -> Tensor:
    """Diagonal (..., C) of the inverse of matrices (..., C, C); infinite for what is in an open direction."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if not info.any() and _regular(factor):
        return torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1)
    flat = [_variances(m) for m in matrix.reshape(-1, *matrix.shape[-2:])]
    return torch.stack(flat).view(matrix.shape[:-1])


def _variances(matrix: Tensor) -> Tensor:
    values, vectors, scale = _spectrum(matrix)
    shares = vectors.square()
    known = values > 0
    out = scale.square() * (shares[:, known] / values[known]).sum(1)
    lost = shares[:, ~known].sum(1) > 1e-9
    return torch.where(lost | (scale == 0), torch.inf, out)


def _regular(factor: Tensor) -> bool:
    """Whether a Cholesky factor isn't that of a matrix that is singular but for rounding."""
    values = factor.cpu().numpy()
    diagonal = np.diagonal(values, axis1=-2, axis2=-1)
    own = np.einsum("...ij,...ij->...i", values, values)  # the matrix's diagonal
    return bool((diagonal > np.sqrt(np.finfo(values.dtype).eps * own)).all())  # not of NaN either


def _spectrum(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues and vectors of the matrix with ones on its diagonal, and what unknowns were divided by.

    Eigenvalues that are zero but for rounding are zero, and so are the scales of unknowns that nothing touches.
    """
    diagonal = matrix.diagonal()
    touched = diagonal > 0
    scale = torch.where(touched, diagonal.clamp_min(torch.finfo(matrix.dtype).tiny).rsqrt(), 0.0)
    values, vectors = torch.linalg.eigh(scale[:, None] * matrix * scale)
    least = len(diagonal) * torch.finfo(matrix.dtype).eps * values.abs().max().clamp_min(1.0)
    return torch.where(values > least, values, torch.zeros_like(values)), vectors, scale
