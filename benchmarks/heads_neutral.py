"""Scans of heads with their expressions taken out, where it's known which expressions they are: ICT-FaceKit's.

There an expression moves each vertex by the same vector on any person, so that a scan less those moves is the person at
rest. A scan's points are vertices of ICT's face in their order, but for some: which they are is found against the face
that the first identities give for its landmarks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel import FaceModel
from foundation.errors import PortraitError

FACE = 6706  # vertices, the first ones
RIDGE = 0.05  # mm a standard deviation: landmarks may be off by that much more for a coefficient to be smaller
MILLIMETRES = 10.0  # a unit of ICT-FaceKit's files


@dataclass(frozen=True)
class Expressions:
    """What moves heads of ICT-FaceKit; in mm."""

    neutral: np.ndarray  # (V, 3), of the face alone, but for landmarks
    identities: np.ndarray  # (I, V, 3)
    moves: np.ndarray  # (E, V, 3) of each expression at weight 1
    landmarks: np.ndarray  # (68,) vertices, in iBUG's order
    face: int = FACE  # the first of the vertices, of which scans are
    names: tuple[str, ...] = ()  # of the expressions

    @classmethod
    def read(cls, folder: Path) -> Expressions:
        """``folder``: ICT-FaceKit's FaceXModel, or the one that has it."""
        inner = folder / "FaceXModel"
        folder = inner if inner.is_dir() else folder
        try:
            table = json.loads((folder / "vertex_indices.json").read_text())
            neutral = _vertices(folder / "generic_neutral_mesh.obj")
            files = sorted(folder.glob("identity*.obj")), [folder / f"{n}.obj" for n in table["expressions"]]
            marks = np.array(table["idx_to_landmark_verts"])
            identities, moves = (np.stack([_vertices(f) - neutral for f in part]) for part in files)
        except (OSError, ValueError, KeyError) as error:
            what = f"expected ICT-FaceKit's folder FaceXModel ({error})"
            raise PortraitError(f"--expressions '{folder}': {what}") from None
        return cls(neutral, identities, moves, marks, names=tuple(table["expressions"]))

    def neutralised(self, truth: Mapping) -> dict[str, np.ndarray]:
        """A head's ``scan`` (n, 3) and ``landmarks`` (68, 3), mm, at rest; ``truth`` has them with ``expression``."""
        moved, marks, at = self._at_rest(truth)
        return {"scan": truth["scan"] - moved[at], "landmarks": marks}

    def identity(self, truth: Mapping) -> np.ndarray:
        """(I,) the identities' weights that come nearest to a head's scan at rest."""
        moved, _, at = self._at_rest(truth)
        basis = self.identities[:, at].reshape(len(self.identities), -1).T
        return np.linalg.lstsq(basis, (truth["scan"] - moved[at] - self.neutral[at]).ravel(), rcond=None)[0]

    def _at_rest(self, truth: Mapping) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the expression moves (V, 3), the landmarks without it (68, 3), and the scan's vertices (n,)."""
        moved = np.tensordot(truth["expression"], self.moves, 1)
        marks = truth["landmarks"] - moved[self.landmarks]
        basis = self.identities[:, self.landmarks].reshape(len(self.identities), -1).T
        normal = basis.T @ basis + len(basis) * RIDGE**2 * np.eye(basis.shape[1])
        found = np.linalg.solve(normal, basis.T @ (marks - self.neutral[self.landmarks]).ravel())
        face = (self.neutral + np.tensordot(found, self.identities, 1) + moved)[: self.face]
        return moved, marks, in_order(truth["scan"], face)


def expression_of(model: FaceModel, names: Sequence[str], values: np.ndarray) -> torch.Tensor:
    """(E,) of the model, of ICT-FaceKit's names and weights; of what the model has once for both sides, their mean."""
    out, sides = torch.zeros(model.count("expression")), {"_L": "Left", "_R": "Right"}
    for name, value in zip(names, values):
        side = sides.get(name[-2:], "")
        base = name[:-2] if side else name
        own = base + side in model.expression_names
        out[model.expression_names.index(base + side if own else base)] += float(value) / (1 if own or not side else 2)
    return out


def in_order(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """(n,) growing numbers of the vertices (V, 3) that n points are nearest to, in the sum of squares; n <= V.

    By dynamic programming over how many vertices were passed over so far.
    """
    spare = len(vertices) - len(points)
    if spare < 0:
        raise PortraitError(f"expected a scan of at most {len(vertices)} points, got {len(points)}")
    before, choice = np.zeros(spare + 1), np.empty((len(points), spare + 1), dtype=np.int32)
    passed = np.arange(spare + 1)
    for k, point in enumerate(points):
        least = np.minimum.accumulate(before)
        choice[k] = np.maximum.accumulate(np.where(before == least, passed, 0))
        before = least + ((vertices[k : k + spare + 1] - point) ** 2).sum(1)
    out, at = np.empty(len(points), dtype=np.int64), int(before.argmin())
    for k in reversed(range(len(points))):
        out[k], at = k + at, choice[k, at]
    return out


def _vertices(file: Path) -> np.ndarray:
    """(V, 3) mm of an OBJ."""
    rows = [line.split()[1:4] for line in file.read_text().splitlines() if line.startswith("v ")]
    return MILLIMETRES * np.array(rows, dtype=np.float64)
