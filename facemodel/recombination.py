"""A model of the same surface with other coefficients: fewer identities, expressions that are sums of its own.

Enter a linear model, or one of its kinds, and the sums; leaves one whose expressions are those. Who solves for
coefficients has fewer of them so (`fitting.tracking.reduced`).
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from facemodel.base import Block
from facemodel.linear import LinearModel

OF_EXPRESSIONS = (
    "expression_basis", "joint_expression_basis", "joint_drive", "expression_directions", "added_expression",
)  # fmt: skip
OF_IDENTITIES = (
    "identity_basis", "eye_center_basis", "eye_radius_basis", "joint_identity_basis", "identity_directions",
    "added_identity",
)  # fmt: skip
"""Tensors that have a row an expression, and a row an identity's coefficient, of all kinds of model."""


def recombined(model: LinearModel, identities: int, expression: Block, sums: Tensor | None) -> LinearModel:
    """The model with the first ``identities`` alone, and other expressions.

    expression: its block. sums: (K, E), what each of its expressions is of the model's own; None: the same ones.
    It lies where the model does.
    """
    tensors = model.flatten()
    for name in OF_IDENTITIES:
        if name in tensors:
            tensors[name] = tensors[name][:identities]
    for name in OF_EXPRESSIONS:
        if name in tensors and sums is not None:
            rows = tensors[name]
            tensors[name] = (sums.to(rows) @ rows.flatten(1)).unflatten(1, rows.shape[1:])
    made = model.rebuilt(tensors, expression=expression).to(model.mean.device)
    if made.provenance is not None:
        made.provenance = dataclasses.replace(made.provenance, own_identities=None, own_expressions=None)
    return made
