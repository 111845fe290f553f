"""MediaPipe's face mesh as a detector: the default, since its wheel carries its weights."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import numpy as np

from facemodel.landmark_schemes import MEDIAPIPE478
from fitting.landmarks.base import SQUARE, UPSIDE_DOWN, Face, square_crop


@dataclass(frozen=True)
class SearchPolicy:
    """Which boxes are taken for faces, in what squares landmarks are found, and how small faces are looked for."""

    least_score: float = 0.4  # of a box
    least_mesh_score: float = 0.2
    tile: int = 512  # px, side of the squares in which boxes are looked for
    crop: int = 256  # px, side of those in which landmarks are
    margins: tuple[float, ...] = (1.7, 1.7 * 1.35, 1.7 * 0.8)  # side of those over the box's, one after the other
    upright: float = 0.85  # score of a box that needs no second look: those of upside-down faces stay below 0.8
    smallest: float = 20.0  # px of a face that `MediaPipeDetector.search` is for
    share: float = 0.08  # of a tile's side, from which on faces are found 9 times of 10
    most_tiles: int = 1200  # of one size: 7 s
    lone: float = 0.8  # score of a box in a small tile that no other tile bears out

    def sides(self, height: int, width: int) -> list[float]:
        """Sides of the tiles of a search, px: each half as long as those before."""
        sides, side = [], max(height, width) / 4
        while side > 0.9 * self.smallest / self.share and 4 * height * width / side**2 < self.most_tiles:
            sides.append(side)
            side /= 2
        return sides


class MediaPipeDetector:
    """MediaPipe 0.10.21: full-range face boxes, then the face mesh with irises in a square about each box.

    Small faces are enlarged: the mesh always sees the face at the same size. Boxes are looked for in the whole
    picture first; where that finds none in the picture with a black border, since a face that fills the frame is
    larger than any that the detector knows; then in an enlarged grid of overlapping tiles, and in ever smaller ones
    by `search`. Each one holds tens of megabytes and four threads until it's closed.
    """

    name, scheme = "mediapipe", MEDIAPIPE478.name

    def __init__(self, device: str = "cpu", max_faces: int = 8, policy: SearchPolicy = SearchPolicy()) -> None:
        """It works on the CPU, whatever the ``device``."""
        self.max_faces, self.policy, self._warned = max_faces, policy, False
        os.environ.setdefault("GLOG_minloglevel", "2")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with quiet_stderr():
            from mediapipe.python.solutions.face_detection import FaceDetection
            from mediapipe.python.solutions.face_mesh import FaceMesh

            self._boxes = FaceDetection(model_selection=1, min_detection_confidence=policy.least_score)
            self._mesh = FaceMesh(
                static_image_mode=True,
                refine_landmarks=True,
                max_num_faces=1,
                min_detection_confidence=policy.least_mesh_score,
            )
            blank = np.zeros((policy.crop, policy.crop, 3), np.uint8)
            self._boxes.process(blank)
            self._mesh.process(blank)

    def detect(self, picture: np.ndarray) -> list[Face]:
        height, width = picture.shape[:2]
        whole, middle = max(height, width), np.array([width / 2, height / 2])
        found = self._find(picture, middle, float(whole)) or self._find(picture, middle, 2.0 * whole)
        return self._faces(picture, found or self._in_tiles(picture, whole / 2))

    def search(self, picture: np.ndarray) -> list[Face]:
        """As `detect`; where that finds none, faces down to `least` px, which takes up to seconds."""
        faces = self.detect(picture)
        for side in [] if faces else self.policy.sides(*picture.shape[:2]):
            found = self._in_tiles(picture, side)
            borne_out = [
                box for k, box in enumerate(found)
                if box[2] > self.policy.lone or any(_overlap(box, other) for other in found[:k] + found[k + 1 :])
            ]  # fmt: skip
            if faces := self._faces(picture, borne_out):
                break
        return faces

    def least(self, width: int, height: int) -> float:
        """px: the size of the smallest faces that `search` finds in a picture of this size."""
        p = self.policy
        return max(p.smallest, p.share * min(p.sides(height, width), default=max(height, width) / 2))

    def _in_tiles(self, picture: np.ndarray, side: float) -> list[tuple[np.ndarray, float, float]]:
        """Boxes, as `_find` has them, in squares that overlap by half."""
        height, width = picture.shape[:2]
        return [
            box
            for y in np.arange(side / 2, max(height, side) - side / 4, side / 2)
            for x in np.arange(side / 2, max(width, side) - side / 4, side / 2)
            for box in self._find(picture, np.array([x, y]), side)
        ]

    def _faces(self, picture: np.ndarray, found: list[tuple[np.ndarray, float, float]]) -> list[Face]:
        """The faces of boxes, the largest first, each once."""
        faces: list[Face] = []
        for centre, size, score in sorted(found, key=lambda f: -f[1]):
            if any(np.abs(f.centre - centre).max() < max(f.size, size) * 0.4 for f in faces):
                continue
            face = self.refine(picture, centre, size)
            if face is not None:
                upright = score > self.policy.upright or self._upright(picture, face)
                faces.append(Face(face.points, face.scheme, float(score) if upright else UPSIDE_DOWN))
            if len(faces) == self.max_faces:
                break
        return sorted(faces, key=lambda f: -f.size)

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        for margin in self.policy.margins:
            side = size * margin
            found = self._mesh_in(square_crop(picture, centre, side, self.policy.crop))
            if not found:
                continue
            points = np.array([(p.x, p.y) for p in found[0].landmark])
            points = centre + (points - 0.5) * side
            face = Face(points, self.scheme, 1.0)
            if np.abs(face.centre - centre).max() < size * 0.75 and 0.4 < face.size / size < 2.5:
                return face
        return None

    def _upright(self, picture: np.ndarray, face: Face) -> bool:
        """Whether the face isn't seen better when it's turned on its head.

        The mesh draws an upright face over an upside-down one. The landmarks' network (`fitting.landmarks.network`)
        knows upright faces only, and is surer of its points there: of 168 faces as they were and 96 on their heads
        each had the smaller uncertainties the right way up, while the boxes' scores were wrong of 17.
        """
        import cv2

        from fitting.landmarks.network import uncertainty

        x, y = face.points[MEDIAPIPE478.forehead] - face.points[MEDIAPIPE478.chin]
        size = self.policy.crop
        crop = square_crop(picture, face.centre, SQUARE * face.size, size)
        roll = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), np.degrees(np.arctan2(x, -y)), 1.0)
        upright = cv2.warpAffine(crop, roll, (size, size))
        as_it_is, turned = uncertainty(np.stack([upright, upright[::-1, ::-1]]))
        return bool(as_it_is < turned)

    def _mesh_in(self, crop: np.ndarray):
        """MediaPipe's faces of a square picture, or None.

        At its first face it warns on the terminal of pictures that aren't square, whatever they are; so until then
        (a blank picture at the start doesn't get there) its messages are kept from it.
        """
        with contextlib.nullcontext() if self._warned else quiet_stderr():
            found = self._mesh.process(crop).multi_face_landmarks
        self._warned = self._warned or bool(found)
        return found

    def close(self) -> None:
        self._boxes.close()
        self._mesh.close()

    def _find(self, picture: np.ndarray, centre: np.ndarray, side: float) -> list[tuple[np.ndarray, float, float]]:
        """(centre, size, score) of each box in a square part of the picture; size fits the mesh's own extent."""
        crop = square_crop(picture, centre, side, self.policy.tile)
        out = []
        for d in self._boxes.process(crop).detections or []:
            b = d.location_data.relative_bounding_box
            middle = np.array([b.xmin + b.width / 2, b.ymin + b.height / 2 - 0.04 * b.height])
            out.append((centre + (middle - 0.5) * side, max(b.width, b.height) * side * 1.1, d.score[0]))
        return out


def _overlap(a: tuple[np.ndarray, float, float], b: tuple[np.ndarray, float, float]) -> bool:
    return bool(np.abs(a[0] - b[0]).max() < 0.4 * max(a[1], b[1]) and 0.5 < a[1] / b[1] < 2)


@contextlib.contextmanager
def quiet_stderr():
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
