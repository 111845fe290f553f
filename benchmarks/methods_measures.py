"""How near made pictures are to true ones: pixels, landmarks, whose face, how turned, with what expression.

Landmarks are MediaPipe's in the crop, enlarged; a picture in which it finds no face counts as the still one does. The
head's angles are told from them, and the expression: how far brows, eyes and lips are from where they are found in the
true picture, once both are moved, turned and scaled to lie best on each other. Identity is the cosine of dlib's
embeddings less the mean embedding of the test people, since all faces are alike in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

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
MEASURES = ("psnr", "ssim", "landmarks", "identity", "pose", "expression", "found")
MOVING = [
    *(point for eye in MEDIAPIPE478.eye_pairs for pair in eye for point in pair), *sum(MEDIAPIPE478.brows_outer, ()),
    *sum(MEDIAPIPE478.brows_inner, ()), *(point for pair in MEDIAPIPE478.lip_pairs for point in pair),
    *MEDIAPIPE478.mouth_corners, *sum(MEDIAPIPE478.eye_corners, ()),
]  # fmt: skip
"""Of brows, eyes and lips."""


def enlarged(picture: np.ndarray) -> np.ndarray:
    """(256, 256, 3) uint8 of a crop."""
    return cv2.resize(picture, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)


def landmark_error(points: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of (478, 2) px as a share of the true face's height."""
    return float(np.linalg.norm(points - true, axis=-1).mean() / np.ptp(true[:, 1]))


def expression_error(points: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance of the moving points of (478, 2) px after the best similarity, as a share of the face's height."""
    a, b = ((p[MOVING] - p[MOVING].mean(0)) @ (1, 1j) for p in (points, wanted))
    turn = np.vdot(a, b) / np.vdot(a, a).real
    return float(np.abs(turn * a - b).mean() / np.ptp(wanted[:, 1]))


@dataclass
class Measures:
    """What is measured with: a detector and an embedding."""

    model: FaceModel
    faces: Faces  # of the test people

    def __post_init__(self) -> None:
        self.detector = make_detector("mediapipe")
        self.embeddings: dict[int, np.ndarray] = {}  # of true pictures, by row
        self.found: dict[int, Face | None] = {}

    @cached_property
    def mean(self) -> np.ndarray:
        """(128,) embedding of the test people: of one picture each, where its face truly is."""
        firsts = [int(np.flatnonzero(self.faces.person == p)[0]) for p in range(len(self.faces.people))]
        return np.mean([self.embedding(row) for row in firsts], 0)

    def embedding(self, row: int) -> np.ndarray:
        """(128,) of a true picture."""
        if row not in self.embeddings:
            picture = to_pixels(self.faces.pictures(np.array(row)))
            self.embeddings[row] = shared_embedding()(enlarged(picture), Face(self.points(row), self.faces.scheme, 1.0))
        return self.embeddings[row]

    def seen(self, row: int) -> Face | None:
        """What the detector finds in a true picture."""
        if row not in self.found:
            self.found[row] = self.face(to_pixels(self.faces.pictures(np.array(row))))
        return self.found[row]

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
        true = to_pixels(self.faces.pictures(np.array(row)))
        found = dict.fromkeys(MEASURES, np.nan) | {"psnr": psnr(picture, true), "ssim": ssim(picture, true)}
        face, wanted = self.face(picture), self.seen(row)
        if face is None:
            return found | {"found": 0.0}
        a = shared_embedding()(enlarged(picture), face) - self.mean
        b = self.embedding(row) - self.mean
        return found | {
            "found": 1.0,
            "landmarks": landmark_error(face.points, self.points(row)),
            "identity": float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))),
            "pose": float(np.abs(self.angles(face.points) - self.angles(self.points(row))).mean()),
            "expression": np.nan if wanted is None else expression_error(face.points, wanted.points),
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
