"""How near made pictures are to true ones: pixels, landmarks, whose face, how turned, which action units.

Landmarks are MediaPipe's in the crop, enlarged; a picture in which it finds no face counts as the still one does. The
head's angles are told from them. Identity is the cosine of dlib's embeddings (`FaceEmbedding`) less the mean embedding
of the test people, since all faces are alike in it. Action units are read by a network that has learnt it from the
people that methods are trained on (`claims.unit_reader`); those that it can't read on test people don't count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch

from benchmarks.claims.unit_reader import UnitReader, correlations, read_units
from benchmarks.image_metrics import psnr, ssim
from facemodel import FaceModel
from facemodel.landmark_schemes import MEDIAPIPE478
from fitting import make_detector
from fitting.landmarks.base import Face
from fitting.landmarks.embedding import shared_embedding
from neural_render.corpus import Faces
from neural_render.methods.common.head_pose import landmark_angles
from neural_render.methods.common.people import to_pixels

ENLARGED = 256  # px at which faces are looked for
FACE = ENLARGED / 1.6  # px of a face in a crop of `face_box`
READABLE = 0.5  # correlation of read and true units from which on a unit counts
MEASURES = ("psnr", "ssim", "landmarks", "identity", "pose", "units", "found")


def enlarged(picture: np.ndarray) -> np.ndarray:
    """(256, 256, 3) uint8 of a crop."""
    return cv2.resize(picture, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)


def landmark_error(points: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of (478, 2) px as a share of the true face's height."""
    return float(np.linalg.norm(points - true, axis=-1).mean() / np.ptp(true[:, 1]))


@dataclass
class Measures:
    """What is measured with: a detector, an embedding, a reader of action units."""

    model: FaceModel
    faces: Faces  # of the test people
    reader: UnitReader

    def __post_init__(self) -> None:
        self.detector, self.known = make_detector("mediapipe"), {}

    @cached_property
    def readable(self) -> np.ndarray:
        """Columns of the units that can be read in true pictures."""
        rows = np.arange(0, len(self.faces), max(1, len(self.faces) // 1000))
        found = correlations(self.faces.units[rows], read_units(self.reader, self.faces.pictures(rows)))
        return np.flatnonzero(found >= READABLE)

    @cached_property
    def mean(self) -> np.ndarray:
        """(128,) embedding of the test people: of one picture each, where its face truly is."""
        firsts = [int(np.flatnonzero(self.faces.person == p)[0]) for p in range(len(self.faces.people))]
        return np.mean([self.embedding(row) for row in firsts], 0)

    def embedding(self, row: int) -> np.ndarray:
        """(128,) of a true picture."""
        if row not in self.known:
            picture = to_pixels(self.faces.pictures(np.array(row)))
            self.known[row] = shared_embedding()(enlarged(picture), Face(self.points(row), self.faces.scheme, 1.0))
        return self.known[row]

    def points(self, row: int) -> np.ndarray:
        """(478, 2) px of the enlarged crop: the truth."""
        return (self.faces.landmarks[row].astype(np.float64) + 1) * ENLARGED / 2

    def face(self, picture: np.ndarray) -> Face | None:
        """The face of a crop (S, S, 3) uint8, in px of the enlarged one."""
        large = enlarged(picture)
        return self.detector.refine(large, np.full(2, ENLARGED / 2), FACE) or next(
            iter(self.detector.detect(large)), None
        )

    def angles(self, points: np.ndarray) -> np.ndarray:
        """(3,) degrees: yaw, pitch and roll of landmarks (478, 2)."""
        return np.degrees(landmark_angles(points[None], MEDIAPIPE478.name, self.model)[0])

    def __call__(self, picture: np.ndarray, row: int) -> dict[str, float]:
        """Figures of a made crop (S, S, 3) uint8 against a true one; NaN where there is no face to measure."""
        true = self.faces.pictures(np.array(row))
        seen = read_units(self.reader, torch.from_numpy(picture).movedim(-1, 0)[None].float() / 127.5 - 1)[0]
        found = {
            "psnr": psnr(picture, to_pixels(true)),
            "ssim": ssim(picture, to_pixels(true)),
            "units": float(np.abs(seen.clip(0, 5) - self.faces.units[row])[self.readable].mean()),
        }
        face = self.face(picture)
        if face is None:
            return found | {"found": 0.0, "landmarks": np.nan, "identity": np.nan, "pose": np.nan}
        a = shared_embedding()(enlarged(picture), face) - self.mean
        b = self.embedding(row) - self.mean
        return found | {
            "found": 1.0,
            "landmarks": landmark_error(face.points, self.points(row)),
            "identity": float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))),
            "pose": float(np.abs(self.angles(face.points) - self.angles(self.points(row))).mean()),
        }


def summary(rows: Sequence[dict[str, float]], still: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """Means over pictures; ``landmarks`` are the still picture's where no face was found."""
    filled = [
        row | {"landmarks": row["landmarks"] if np.isfinite(row["landmarks"]) else other["landmarks"]}
        for row, other in zip(rows, still, strict=True)
    ]
    means = {}
    for name in MEASURES:
        values = np.array([row[name] for row in filled])
        means[name] = round(float(np.nanmean(values)), 4) if np.isfinite(values).any() else None
    return means
