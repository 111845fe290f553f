"""MediaPipe's face mesh as a detector: the default, since its wheel carries its weights."""

from __future__ import annotations

import contextlib
import os

import numpy as np

from facemodel.landmark_schemes import MEDIAPIPE478
from fitting.landmarks.base import UPSIDE_DOWN, Face, square_crop

CROP = 256  # px, side of the square in which landmarks are looked for
MARGIN = 1.7  # side of that square over the side of the face's box
SURE = 0.85  # score of a box that needs no second look: those of upside-down faces stay below 0.8


class MediaPipeDetector:
    """MediaPipe 0.10.21: full-range face boxes, then the face mesh with irises in a square about each box.

    Small faces are enlarged: the mesh always sees the face at the same size. Boxes are looked for in the whole
    picture first; where that finds none in the picture with a black border, since a face that fills the frame is
    larger than any that the detector knows; then in an enlarged grid of overlapping tiles. Each one holds
    tens of megabytes and four threads until it's closed.
    """

    name, scheme = "mediapipe", MEDIAPIPE478.name

    def __init__(self, device: str = "cpu", max_faces: int = 8) -> None:
        """It works on the CPU, whatever the ``device``."""
        os.environ.setdefault("GLOG_minloglevel", "2")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with _quiet_stderr():
            from mediapipe.python.solutions.face_detection import FaceDetection
            from mediapipe.python.solutions.face_mesh import FaceMesh

            self._boxes = FaceDetection(model_selection=1, min_detection_confidence=0.4)
            self._mesh = FaceMesh(
                static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=0.2
            )
            blank = np.zeros((CROP, CROP, 3), np.uint8)
            self._boxes.process(blank)
            self._mesh.process(blank)
        self.max_faces, self._warned = max_faces, False

    def detect(self, picture: np.ndarray) -> list[Face]:
        height, width = picture.shape[:2]
        whole, middle = max(height, width), np.array([width / 2, height / 2])
        found = self._find(picture, middle, float(whole)) or self._find(picture, middle, 2.0 * whole)
        if not found:
            side = whole / 2
            for y in np.arange(side / 2, max(height, side) - side / 4, side / 2):
                for x in np.arange(side / 2, max(width, side) - side / 4, side / 2):
                    found += self._find(picture, np.array([x, y]), side)
        faces: list[Face] = []
        for centre, size, score in sorted(found, key=lambda f: -f[1]):
            if any(np.abs(f.centre - centre).max() < max(f.size, size) * 0.4 for f in faces):
                continue
            face = self.refine(picture, centre, size)
            if face is not None:
                sure = score > SURE or self._stands(picture, face)
                faces.append(Face(face.points, face.scheme, float(score) if sure else UPSIDE_DOWN))
            if len(faces) == self.max_faces:
                break
        return sorted(faces, key=lambda f: -f.size)

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        for margin in (MARGIN, MARGIN * 1.35, MARGIN * 0.8):
            side = size * margin
            found = self._mesh_in(square_crop(picture, centre, side, CROP))
            if not found:
                continue
            points = np.array([(p.x, p.y) for p in found[0].landmark])
            points = centre + (points - 0.5) * side
            face = Face(points, self.scheme, 1.0)
            if np.abs(face.centre - centre).max() < size * 0.75 and 0.4 < face.size / size < 2.5:
                return face
        return None

    def _stands(self, picture: np.ndarray, face: Face) -> bool:
        """Whether the boxes' network doesn't see the face better when it's turned on its head.

        The mesh draws an upright face over an upside-down one, while that network knows upright faces only.
        """
        import cv2

        x, y = face.points[MEDIAPIPE478.forehead] - face.points[MEDIAPIPE478.chin]
        crop = square_crop(picture, face.centre, 2 * face.size, CROP)
        roll = cv2.getRotationMatrix2D(((CROP - 1) / 2, (CROP - 1) / 2), np.degrees(np.arctan2(x, -y)), 1.0)
        upright = cv2.warpAffine(crop, roll, (CROP, CROP))
        scores = [
            max((d.score[0] for d in self._boxes.process(view).detections or []), default=0.0)
            for view in (upright, np.ascontiguousarray(upright[::-1, ::-1]))
        ]
        return scores[0] >= scores[1]

    def _mesh_in(self, crop: np.ndarray):
        """MediaPipe's faces of a square picture, or None.

        At its first face it warns on the terminal of pictures that aren't square, whatever they are; so until then
        (a blank picture at the start doesn't get there) its messages are kept from it.
        """
        with contextlib.nullcontext() if self._warned else _quiet_stderr():
            found = self._mesh.process(crop).multi_face_landmarks
        self._warned = self._warned or bool(found)
        return found

    def close(self) -> None:
        self._boxes.close()
        self._mesh.close()

    def _find(self, picture: np.ndarray, centre: np.ndarray, side: float) -> list[tuple[np.ndarray, float, float]]:
        """(centre, size, score) of each box in a square part of the picture; size fits the mesh's own extent."""
        crop = square_crop(picture, centre, side, 512)
        out = []
        for d in self._boxes.process(crop).detections or []:
            b = d.location_data.relative_bounding_box
            middle = np.array([b.xmin + b.width / 2, b.ymin + b.height / 2 - 0.04 * b.height])
            out.append((centre + (middle - 0.5) * side, max(b.width, b.height) * side * 1.1, d.score[0]))
        return out


@contextlib.contextmanager
def _quiet_stderr():
    """MediaPipe's C++ messages go to file descriptor 2 whatever the log level says; its errors are exceptions."""
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
