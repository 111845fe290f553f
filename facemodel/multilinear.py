"""The Tucker (multi-linear) form of a face model, from an identity x expression x vertex tensor.

The N-mode SVD of Vlasic et al., "Face Transfer with Multilinear Models" (SIGGRAPH 2005): one orthonormal factor a
mode, the left singular vectors of the tensor unfolded along that mode, and a core that couples them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.errors import PortraitError


@dataclass(frozen=True)
class TuckerModel:
    """faces = core x_identity U_identity x_expression U_expression x_vertex U_vertex."""

    core: Tensor  # (r_identity, r_expression, r_vertex) mm
    identity_factor: Tensor  # (identities, r_identity), orthonormal columns
    expression_factor: Tensor  # (expressions, r_expression), orthonormal columns
    vertex_factor: Tensor  # (3 V, r_vertex), orthonormal columns


def build_tucker(faces: Tensor, tolerance: float = 1e-6) -> TuckerModel:
    """The higher-order SVD of faces (identities, expressions, V, 3) mm, all in one topology.

    Components are kept whose singular value is above ``tolerance`` times the largest of the mode, so that a tensor of
    low rank gives a small, exact model.
    Raises PortraitError for another shape, or values that aren't finite.
    """
    if faces.dim() != 4 or faces.shape[-1] != 3 or not faces.numel():
        raise PortraitError(f"tucker faces: expected shape (identities, expressions, V, 3), got {tuple(faces.shape)}")
    if not torch.isfinite(faces).all():
        raise PortraitError("tucker faces: expected finite coordinates, found some that aren't; drop those faces")
    tensor = faces.flatten(2)
    factors = []
    for mode in range(3):
        left, values = _left_singular(tensor.movedim(mode, 0).flatten(1))
        factors.append(left[:, : max(1, int((values > tolerance * values[0]).sum()))])
    return TuckerModel(torch.einsum("abc,ai,bj,ck->ijk", tensor, *factors), *factors)


def _left_singular(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors (N, K) and singular values (K,) of (N, M), largest first; the right ones, which can be
    gigabytes, are never made."""
    wide = matrix.double()
    if len(wide) > wide.shape[1]:
        outer, inner = torch.linalg.qr(wide)
        left, values, _ = torch.linalg.svd(inner)
        return (outer @ left).to(matrix), values.to(matrix)
    squared, vectors = torch.linalg.eigh(wide @ wide.T)
    return vectors.flip(-1).to(matrix), squared.flip(-1).clamp_min(0).sqrt().to(matrix)
