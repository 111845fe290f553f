"""A pretrained face embedding as a measure of identity: dlib's ResNet, with ``face_recognition_models``' weights.

A picture and a `Face` in it enter, 128 numbers leave. It has no gradients: it measures, and nothing is trained on it.
Dlib calls two faces the same person where their embeddings are nearer than 0.6 (99.4 % right on LFW, by its own
account).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import Face
from foundation.errors import PortraitError

WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
CHIP = 150  # px, side of the aligned picture that the network sees


def dlib_points(name: str) -> list[int]:
    """Of a landmark scheme dlib's five: outer and inner corner of the subject's left eye, of the right, nose base."""
    scheme = SCHEMES[name]
    if scheme.nose_base is None:
        raise PortraitError(f"embedding: the landmark scheme '{name}' has no nose base; choose another detector")
    left, right = scheme.eye_corners
    return [*left, *right, scheme.nose_base]


def can_embed(face: Face) -> bool:
    """Whether a face can be aligned for the embedding: by all points of a scheme that has a nose base."""
    if face.scheme not in SCHEMES or SCHEMES[face.scheme].nose_base is None:
        return False
    whole = len(face.points) == SCHEMES[face.scheme].count
    return whole and bool(np.isfinite(face.points[dlib_points(face.scheme)]).all())


def face_chip(picture: np.ndarray, face: Face) -> np.ndarray:
    """(150, 150, 3) uint8: a face of an (H, W, 3) uint8 RGB picture, aligned as dlib's training had it."""
    import dlib

    points = [dlib.point(round(x), round(y)) for x, y in face.points[dlib_points(face.scheme)] - 0.5]
    left, top, right, bottom = (round(v) for v in face.box)
    shape = dlib.full_object_detection(dlib.rectangle(left, top, right, bottom), dlib.points(points))
    return dlib.get_face_chip(np.ascontiguousarray(picture), shape, size=CHIP, padding=0.25)


class FaceEmbedding:
    """Embeds the faces that a landmark detector has found; about 75 ms a face on a CPU core."""

    def __init__(self) -> None:
        import dlib

        # Found, not imported: the package's own code would import setuptools' for as long as two frames' embeddings.
        package = find_spec("face_recognition_models")
        folder = Path(package.origin).parent if package else Path("face_recognition_models")
        file = folder / "models" / WEIGHTS
        if not file.is_file():
            raise PortraitError(f"embedding: '{file}' is missing; run 'pip install face-recognition-models'")
        self._net = dlib.face_recognition_model_v1(str(file))

    def __call__(self, picture: np.ndarray, face: Face) -> np.ndarray:
        """(128,) float32 of a face in an (H, W, 3) uint8 RGB picture; see `can_embed`."""
        return self.of_chip(face_chip(picture, face))

    def of_chip(self, chip: np.ndarray) -> np.ndarray:
        """(128,) float32 of what `face_chip` gave."""
        return np.asarray(self._net.compute_face_descriptor(chip), dtype=np.float32)


@cache
def shared_embedding() -> FaceEmbedding:
    """The one of this process: loading it takes 0.2 s and some tens of megabytes."""
    return FaceEmbedding()
