"""Bilinear models: identity and expression multiply (FaceWarehouse, FaceScape), kept in the Tucker form.

vertices = core x_identity a x_expression b x_vertex U: `facemodel.multilinear`, with a and b affine in the model's two
blocks, so that identities are in standard deviations and expressions are activations from rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facemodel.base import Linearization, combine
from facemodel.linear import LinearModel


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
