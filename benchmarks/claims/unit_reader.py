"""Reads action units from face crops by the landmarks that MediaPipe finds there: no method is trained with it.

A ridge regression of units from landmarks without place and size, fitted to people whose units are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.methods_measures import ENLARGED, FACE, enlarged
from fitting import make_detector
from neural_render.corpus import Faces
from neural_render.methods.common.people import to_pixels

PICTURES = 3000  # of the training's, at most
RIDGE = 1e-2  # of the features' variance

Find = Callable[[np.ndarray], np.ndarray | None]
"""A crop (S, S, 3) uint8 to landmarks (L, 2), in any unit; None where there is no face."""


def mediapipe() -> Find:
    """MediaPipe's landmarks of enlarged crops."""
    detector = make_detector("mediapipe")

    def find(picture: np.ndarray) -> np.ndarray | None:
        large = enlarged(picture)
        face = detector.refine(large, np.full(2, ENLARGED / 2), FACE) or next(iter(detector.detect(large)), None)
        return None if face is None else face.points

    return find


@dataclass(frozen=True)
class UnitReader:
    """See the module."""

    find: Find
    middle: np.ndarray  # (M,) of the features
    spread: np.ndarray  # (M,)
    weights: np.ndarray  # (M + 1, K)

    @classmethod
    def fitted(cls, faces: Faces, find: Find | None = None, most: int = PICTURES) -> UnitReader:
        """To the units of evenly spread pictures in which a face is found."""
        find = find or mediapipe()
        rows = np.unique(np.linspace(0, len(faces) - 1, min(most, len(faces))).round().astype(int))
        shapes = [shape_of(find(to_pixels(faces.pictures(np.array(row))))) for row in rows]
        known = [k for k, shape in enumerate(shapes) if shape is not None]
        x, y = np.stack([shapes[k] for k in known]), faces.units[rows[known]]
        made = cls(find, x.mean(0), x.std(0).clip(1e-9), np.zeros((x.shape[1] + 1, y.shape[1])))
        a = made.features(x)
        return cls(
            find, made.middle, made.spread, np.linalg.solve(a.T @ a + RIDGE * len(a) * np.eye(a.shape[1]), a.T @ y)
        )

    def features(self, shapes: np.ndarray) -> np.ndarray:
        return np.concatenate([(shapes - self.middle) / self.spread, np.ones((len(shapes), 1))], 1)

    def __call__(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """(N, K) units, 0 to 5 about, of crops (S, S, 3) uint8; NaN where no face is found."""
        shapes = [shape_of(self.find(picture)) for picture in pictures]
        nowhere = np.full(len(self.middle), np.nan)
        return self.features(np.stack([nowhere if shape is None else shape for shape in shapes])) @ self.weights


def shape_of(points: np.ndarray | None) -> np.ndarray | None:
    """(2 L,) of landmarks (L, 2), about their middle and of one size."""
    if points is None:
        return None
    centred = points - points.mean(0)
    return (centred / np.linalg.norm(centred)).ravel()


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) Pearson's, of columns (N, K) where both are known; 0 of one that doesn't move."""
    known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    a, b = a[known] - a[known].mean(0), b[known] - b[known].mean(0)
    return (a * b).sum(0) / np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0), 1e-12)
