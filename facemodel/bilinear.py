"""Bilinear models: identity and expression multiply (FaceWarehouse, FaceScape), kept in the Tucker form.

vertices = core x_identity a x_expression b x_vertex U: `facemodel.multilinear`, with a and b affine in the model's two
blocks, so that identities are in standard deviations and expressions are activations from rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from facemodel.base import Linearization, combine
from facemodel.combinations import Combinations, Place, gather
from facemodel.linear import LinearModel

if TYPE_CHECKING:
    from scipy import sparse


class BilinearModel(LinearModel):
    """How a face moves depends on whose it is.

    Its tensors beside those of `LinearModel`, whose two bases are the derivatives at the mean:

    - ``core`` (R, S, P) mm and ``vertex_factor`` (P, V, 3), orthonormal rows: the Tucker form;
    - ``identity_origin`` (R,), ``identity_directions`` (I, R), ``expression_origin`` (S,), ``expression_directions``
      (E, S): a = origin + identity x directions, b likewise;
    - ``added_mean`` (V, 3), ``added_identity`` (I, V, 3), ``added_expression`` (E, V, 3), all or none: what is linear
      beside it (`facemodel.bridge`).
    """

    linear = False

    def _factors(self, identity: Tensor | None, expression: Tensor | None) -> tuple[Tensor, Tensor]:
        a, b = self.identity_origin, self.expression_origin
        if identity is not None:
            a = a + combine("identity", identity, self.identity_directions)
        return a, b if expression is None else b + combine("expression", expression, self.expression_directions)

    def _surface(self, a: Tensor, b: Tensor) -> Tensor:
        """(..., R), (..., S) -> (..., V, 3)."""
        inner = torch.einsum("...r,...s,rsp->...p", a, b, self.core)
        return (inner @ self.vertex_factor.flatten(1)).unflatten(-1, self.mean.shape)

    def vertices(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        gaze: Tensor | None = None,
        joints: Tensor | None = None,
    ) -> Tensor:
        """See `FaceModel.vertices`."""
        vertices = self._surface(*self._factors(identity, expression))
        if self._has("added_mean"):
            vertices = vertices + self.added_mean
            if identity is not None:
                vertices = vertices + combine("identity", identity, self.added_identity)
            if expression is not None:
                vertices = vertices + combine("expression", expression, self.added_expression)
        return vertices if gaze is None else self.turn_eyes(vertices, identity, gaze)

    def linearize(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Linearization:
        """See `FaceModel.linearize`, in closed form: each block is linear while the other rests."""
        a, b = self._factors(identity, expression)
        by_identity = self._surface(self.identity_directions, b)
        by_expression = self._surface(a, self.expression_directions)
        if self._has("added_mean"):
            by_identity, by_expression = by_identity + self.added_identity, by_expression + self.added_expression
        vertices = self.vertices(identity, expression)
        return Linearization(vertices, by_identity, by_expression, a.new_zeros(0, *self.mean.shape))

    def combinations(self, rows: sparse.csr_matrix) -> Combinations:
        """See `FaceModel.combinations`."""
        linear = (self.added_mean, self.added_identity, self.added_expression) if self._has("added_mean") else ()
        return BilinearCombinations(self, gather(rows, self.vertex_factor), *(gather(rows, x) for x in linear))

    def factors(self, identity: Tensor, expression: Tensor) -> tuple[Tensor, Tensor]:
        """What the core is multiplied with, (R,) and (S,), at a state."""
        return self._factors(identity, expression)


class BilinearCombinations:
    """See `facemodel.combinations.Combinations`: the core's columns at the combinations alone."""

    def __init__(
        self,
        model: BilinearModel,
        factor: Tensor,  # (N, 3, P)
        mean: Tensor | float = 0.0,  # (N, 3), what is linear beside the Tucker form
        identity: Tensor | None = None,  # (N, 3, I)
        expression: Tensor | None = None,  # (N, 3, E)
    ) -> None:
        self.model, self.factor = model, factor
        self.mean, self.identity, self.expression = mean, identity, expression
        self._person: tuple[Tensor, Tensor] | None = None  # the last identity, and (N, 3, S) of each expression with it

    def _of_person(self, identity: Tensor) -> Tensor:
        if self._person is None or self._person[0] is not identity:
            a, _ = self.model.factors(identity, self.model.blocks["expression"].mean)
            self._person = identity, self.factor @ torch.einsum("r,rsp->ps", a, self.model.core)
        return self._person[1]

    def positions(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        found = self._of_person(identity) @ self.model.factors(identity, expression)[1] + self.mean
        return found if self.identity is None else found + self.identity @ identity + self.expression @ expression

    def by_identity(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        _, b = self.model.factors(identity, expression)
        found = self.factor @ torch.einsum("ir,s,rsp->pi", self.model.identity_directions, b, self.model.core)
        return found if self.identity is None else found + self.identity

    def by_motion(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        found = self._of_person(identity) @ self.model.expression_directions.T
        return found if self.expression is None else found + self.expression

    def holds(self, there: Place, here: Place) -> bool:
        """See `Combinations`."""
        return True  # linear in expressions
