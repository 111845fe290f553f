"""What a writer of a published form gives, and the algebra that most of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Evaluation = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""identity (I,), expression (E,), joints (J,) radians, gaze (2, 2) -> vertices (V, 3) mm, as the authors' code does."""


@dataclass(frozen=True)
class Written:
    """A file or folder in a published form."""

    path: Path
    evaluate: Evaluation
    triangles: np.ndarray  # (T, 3) from 0, outwards
    extras: Sequence[Path] = ()
    counts: dict[str, int] = field(default_factory=dict)  # of coefficients, by block


def linear(mean: np.ndarray, identity: np.ndarray, expression: np.ndarray, scale: float = 1.0) -> Evaluation:
    def evaluate(i, e, joints, gaze):
        return scale * (mean + np.tensordot(i, identity, 1) + np.tensordot(e, expression, 1))

    return evaluate


def columns_of(basis: np.ndarray) -> np.ndarray:
    """(K, V, 3) -> (3 V, K)."""
    return basis.reshape(len(basis), -1).T


def orthonormal(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (3 V, K) of a model whose components are these directions made orthonormal, and std (K,) as they were."""
    columns = np.linalg.qr(columns_of(basis))[0]
    return columns, np.linalg.norm(columns_of(basis), axis=0)


def cut(columns: np.ndarray, std: np.ndarray) -> np.ndarray:
    return (columns * std).T.reshape(len(std), -1, 3)
