"""A pretrained face embedding as a measure of identity: dlib's ResNet, with ``face_recognition_models``' weights.

It has no gradients: it measures, and nothing is trained on it. Dlib calls two faces the same person where their
embeddings are nearer than 0.6 (99.4 % right on LFW, by its own account).
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import Face
from foundation.errors import PortraitError

SAME = 0.6
"""Distance below which two embeddings are of the same person."""
WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"


class FaceEmbedding:
    """Embeds the faces that a landmark detector has found; about 75 ms a face on a CPU core."""

    def __init__(self) -> None:
        import dlib

        path = files("face_recognition_models") / "models" / WEIGHTS
        with as_file(path) as file:
            if not file.is_file():
                raise PortraitError(f"embedding: '{file}' is missing; run 'pip install face-recognition-models'")
            self._net = dlib.face_recognition_model_v1(str(file))

    def __call__(self, picture: np.ndarray, face: Face) -> np.ndarray:
        """(128,) float32 of a face in an (H, W, 3) uint8 RGB picture.

        face: of any scheme; the corners of its eyes and the base of its nose align the picture as dlib's training did.
        """
        import dlib

        points = [dlib.point(round(x), round(y)) for x, y in face.points[dlib_points(face.scheme)] - 0.5]
        left, top, right, bottom = (round(v) for v in face.box)
        shape = dlib.full_object_detection(dlib.rectangle(left, top, right, bottom), dlib.points(points))
        found = self._net.compute_face_descriptor(np.ascontiguousarray(picture), shape)
        return np.asarray(found, dtype=np.float32)


def dlib_points(name: str) -> list[int]:
    """Of a landmark scheme dlib's five: outer and inner corner of the subject's left eye, of the right, nose base."""
    scheme = SCHEMES[name]
    if scheme.nose_base is None:
        raise PortraitError(f"embedding: the landmark scheme '{name}' has no nose base; choose another detector")
    left, right = scheme.eye_corners
    return [*left, *right, scheme.nose_base]


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of embeddings (..., 128)."""
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
