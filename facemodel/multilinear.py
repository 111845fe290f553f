"""The Tucker (multi-linear) form of a face model, from an identity x expression x vertex tensor.

The N-mode SVD of Vlasic et al., "Face Transfer with Multilinear Models" (SIGGRAPH 2005): one orthonormal factor a
mode, the left singular vectors of the tensor unfolded along that mode, and a core that couples them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.errors import PortraitError

MODES = ("identity", "expression", "vertex")


@dataclass(frozen=True)
class TuckerModel:
    """faces = core x_identity U_identity x_expression U_expression x_vertex U_vertex."""

    core: Tensor  # (r_identity, r_expression, r_vertex) mm
    identity_factor: Tensor  # (identities, r_identity), orthonormal columns
    expression_factor: Tensor  # (expressions, r_expression), orthonormal columns
    vertex_factor: Tensor  # (3 V, r_vertex), orthonormal columns

    @property
    def ranks(self) -> tuple[int, int, int]:
        return tuple(self.core.shape)

    def evaluate(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices (..., V, 3) mm.

        identity: (..., identities), expression: (..., expressions): weights over the faces and expressions that
        the model was built from (a one-hot vector is that face; blends sum to 1). Leading dimensions broadcast.
        """
        self._check("identity", identity, self.identity_factor)
        self._check("expression", expression, self.expression_factor)
        a, b = identity @ self.identity_factor, expression @ self.expression_factor
        flat = torch.einsum("...i,...j,ijk->...k", a, b, self.core) @ self.vertex_factor.T
        return flat.unflatten(-1, (-1, 3))

    def reconstruct(self) -> Tensor:
        """The whole tensor (identities, expressions, V, 3) mm."""
        factors = (self.core, self.identity_factor, self.expression_factor, self.vertex_factor)
        return torch.einsum("ijk,ai,bj,ck->abc", *factors).unflatten(-1, (-1, 3))

    def truncate(self, ranks: tuple[int, int, int]) -> TuckerModel:
        """Keeps the leading components of each mode: the truncated higher-order SVD."""
        for mode, rank, have in zip(MODES, ranks, self.ranks):
            if not 1 <= rank <= have:
                raise PortraitError(f"tucker rank of {mode}: expected 1 to {have}, got {rank}")
        a, b, c = ranks
        return TuckerModel(
            self.core[:a, :b, :c],
            self.identity_factor[:, :a],
            self.expression_factor[:, :b],
            self.vertex_factor[:, :c],
        )

    def collapse(self, identity: Tensor, neutral: int = 0) -> tuple[Tensor, Tensor]:
        """The linear form at one identity: mean (V, 3) mm and expression basis (expressions - 1, V, 3) mm a unit.

        mean is the ``neutral`` expression of that identity, and each basis shape takes it to one of the others,
        in their order: vertices = mean + sum of weight x basis equals ``evaluate`` at the same blend.
        identity: (identities,) weights.
        """
        if identity.dim() != 1:
            raise PortraitError(f"tucker identity: expected shape ({len(self.identity_factor)},), got {identity.shape}")
        count = len(self.expression_factor)
        if not 0 <= neutral < count:
            raise PortraitError(f"tucker neutral expression: expected 0 to {count - 1}, got {neutral}")
        faces = self.evaluate(identity, torch.eye(count, dtype=self.core.dtype, device=self.core.device))
        others = [k for k in range(count) if k != neutral]
        return faces[neutral], faces[others] - faces[neutral]

    @staticmethod
    def _check(name: str, weights: Tensor, factor: Tensor) -> None:
        if weights.shape[-1:] != (len(factor),):
            raise PortraitError(f"tucker {name}: expected shape (..., {len(factor)}), got {tuple(weights.shape)}")


def build_tucker(faces: Tensor, ranks: tuple[int, int, int] | None = None, tolerance: float = 1e-6) -> TuckerModel:
    """The higher-order SVD of faces (identities, expressions, V, 3) mm, all in one topology.

    ranks: components to keep of (identity, expression, vertex); None keeps those whose singular value is above
    ``tolerance`` times the largest of the mode, so that a tensor of low rank gives a small, exact model.
    Raises PortraitError for another shape, values that aren't finite, or ranks out of range.
    """
    if faces.dim() != 4 or faces.shape[-1] != 3 or not faces.numel():
        raise PortraitError(f"tucker faces: expected shape (identities, expressions, V, 3), got {tuple(faces.shape)}")
    if not torch.isfinite(faces).all():
        raise PortraitError("tucker faces: expected finite coordinates, found some that aren't; drop those faces")
    tensor = faces.flatten(2)
    factors, counts = [], []
    for mode in range(3):
        left, values = _left_singular(tensor.movedim(mode, 0).flatten(1))
        factors.append(left)
        counts.append(max(1, int((values > tolerance * values[0]).sum())))
    if ranks is None:
        ranks = tuple(counts)
    for mode, rank, factor in zip(MODES, ranks, factors):
        if not 1 <= rank <= factor.shape[1]:
            raise PortraitError(f"tucker rank of {mode}: expected 1 to {factor.shape[1]}, got {rank}")
    a, b, c = (factor[:, :rank] for factor, rank in zip(factors, ranks))
    return TuckerModel(torch.einsum("abc,ai,bj,ck->ijk", tensor, a, b, c), a, b, c)


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
