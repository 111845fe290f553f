"""Fixed linear combinations of a model's vertices: points on its surface, tangents, landmarks.

Who solves for a model's coefficients looks at some thousand of them, whatever the mesh. Enter a model and a sparse
matrix (R, V), leave their places and derivatives at any state (`Combinations`, which `FaceModel.combinations` gives);
`fitting` calls it. What they cost depends on R, not on V.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy import sparse

    from facemodel.base import FaceModel, Linearization


Place = tuple[Tensor, Tensor, Tensor]
"""Identity (I,), expression (E,), joints (J,)."""


class Combinations(Protocol):
    """R combinations at a state: identity (I,), expression (E,), joints (J,), eyes straight ahead; mm, model frame."""

    def positions(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """(R, 3)."""

    def by_identity(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """(R, 3, I): derivatives by identity."""

    def by_motion(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """(R, 3, E + J): derivatives by expressions, then by joints."""

    def holds(self, there: Place, here: Place) -> bool:
        """Whether places and derivatives by motion at one state of a person say what is at another one of them, too: to
        some hundredths of a millimetre."""


def gather(rows: sparse.csr_matrix, values: Tensor) -> Tensor:
    """Any attribute of the vertices, or derivatives of one, (..., V, 3), at R combinations: (R, 3, ...)."""
    flat = values.detach().cpu().double().numpy()
    lead = flat.shape[:-2]
    columns = np.moveaxis(flat.reshape(-1, *flat.shape[-2:]), 0, 2).reshape(flat.shape[-2], -1)
    out = (rows @ columns).reshape(rows.shape[0], 3, *lead)
    return torch.from_numpy(np.ascontiguousarray(out)).to(values)


class Gathered:
    """Of any model: all its vertices are worked out, and combined."""

    def __init__(self, model: FaceModel, rows: sparse.csr_matrix) -> None:
        self.model, self.rows = model, rows
        self._known: tuple[Place, Linearization] | None = None  # where derivatives were asked for last

    def positions(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        joints = joints if len(joints) else None
        return gather(self.rows, self.model.vertices(identity, expression, None, joints))

    def by_identity(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        return gather(self.rows, self._slopes(identity, expression, joints).identity)

    def by_motion(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        slopes = self._slopes(identity, expression, joints)
        return torch.cat([gather(self.rows, x) for x in (slopes.expression, slopes.joints)], -1)

    def holds(self, there: Place, here: Place) -> bool:
        """See `Combinations`."""
        return all(torch.equal(a, b) for a, b in zip(there, here))

    def _slopes(self, *state: Tensor) -> Linearization:
        known = self._known
        if known is None or not all(torch.equal(a, b) for a, b in zip(state, known[0])):
            with torch.inference_mode(False):  # in which nothing can be differentiated, nor what was made in it
                here = tuple(x.clone() for x in state)
                known = self._known = here, self.model.linearize(*here)
        return known[1]


class Constant:
    """Of a linear model: gathered once."""

    def __init__(self, rows: sparse.csr_matrix, mean: Tensor, identity: Tensor, expression: Tensor) -> None:
        self.mean, self.identity, self.expression = (gather(rows, x) for x in (mean, identity, expression))

    def positions(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        return self.mean + self.identity @ identity + self.expression @ expression

    def by_identity(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        return self.identity

    def by_motion(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        return self.expression

    def holds(self, there: Place, here: Place) -> bool:
        """See `Combinations`."""
        return True
