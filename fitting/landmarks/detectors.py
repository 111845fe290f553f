"""Landmark detectors: from a picture to the faces in it.

A detector turns an RGB picture into `Face`s; which of them is followed through a clip is decided in
`fitting.tracking.follow`. MediaPipe is the default, since its wheel carries its weights.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foundation.errors import PortraitError, unknown_name

CROP = 256  # px, side of the square in which landmarks are looked for
MARGIN = 1.7  # side of that square over the side of the face's box
SURE = 0.85  # score of a box that needs no second look: those of upside-down faces stay below 0.8
UPSIDE_DOWN = 0.0  # confidence of a face that seems to stand on its head
FOREHEAD, CHIN = 10, 152  # of MediaPipe's points
SIDE = 1.5  # side of the square that is fitted, over the side of the face's box
EYE_CORNERS = {"mediapipe478": ((263, 362), (33, 133)), "ibug68": ((42, 45), (36, 39))}  # of the left eye, the right


@dataclass(frozen=True)
class Face:
    """One face in a picture."""

    points: np.ndarray  # (L, 2) float64, px of the picture it was found in; pixel centres at +0.5
    scheme: str  # a landmark scheme of the model: "mediapipe478" or "ibug68"
    confidence: float  # 0 to 1; `UPSIDE_DOWN` where the landmarks seem to be the wrong way up
    sigma: np.ndarray | None = None  # (L,) px, standard deviation of each point, where it's known

    @property
    def box(self) -> np.ndarray:
        """(4,) left, top, right, bottom in px."""
        return np.concatenate([self.points.min(0), self.points.max(0)])

    @property
    def size(self) -> float:
        """Longer side of the box in px."""
        left, top, right, bottom = self.box
        return float(max(right - left, bottom - top))

    @property
    def centre(self) -> np.ndarray:
        return (self.box[:2] + self.box[2:]) / 2


class LandmarkDetector(Protocol):
    """What the tracker needs of a detector. It keeps no state from picture to picture."""

    scheme: str

    def detect(self, picture: np.ndarray) -> list[Face]:
        """All faces of an (H, W, 3) uint8 RGB picture, the largest first."""

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        """The face near ``centre`` with a box of about ``size`` px, or None. Much faster than ``detect``."""

    def close(self) -> None:
        """Gives back its memory and threads; to be called by who made it."""


def make_detector(name: str | LandmarkDetector = "mediapipe", device: str = "cpu") -> LandmarkDetector:
    """The detector called ``name``: "mediapipe" or "face-alignment". A detector is returned as it is."""
    if not isinstance(name, str):
        return name
    makers = {"mediapipe": MediaPipeDetector, "face-alignment": lambda: FaceAlignmentDetector(device)}
    if name not in makers:
        raise unknown_name("landmark detector", name, makers)
    return makers[name]()


def square_crop(picture: np.ndarray, centre: np.ndarray, side: float, size: int) -> np.ndarray:
    """The (size, size) square of ``side`` px about ``centre``, enlarged or reduced; black outside the picture."""
    import cv2

    scale = size / side
    matrix = np.array([[scale, 0, size / 2 - scale * centre[0]], [0, scale, size / 2 - scale * centre[1]]])
    matrix[:, 2] += scale / 2 - 0.5  # cv2 puts pixel centres at whole numbers
    if scale < 0.5:  # average before thinning out
        k = int(np.floor(1 / scale))
        left, top = np.floor(centre - side / 2).astype(int)
        x0, y0 = max(left, 0), max(top, 0)
        x1 = min(int(np.ceil(centre[0] + side / 2)) + 1, picture.shape[1])
        y1 = min(int(np.ceil(centre[1] + side / 2)) + 1, picture.shape[0])
        w, h = (x1 - x0) // k * k, (y1 - y0) // k * k
        if w > 0 and h > 0:
            small = cv2.resize(picture[y0 : y0 + h, x0 : x0 + w], (w // k, h // k), interpolation=cv2.INTER_AREA)
            return square_crop(small, (centre - [x0, y0]) / k, side / k, size)
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)


class MediaPipeDetector:
    """MediaPipe 0.10.21: full-range face boxes, then the face mesh with irises in a square about each box.

    Small faces are enlarged: the mesh always sees the face at the same size. Boxes are looked for in the whole
    picture first; where that finds none in the picture with a black border, since a face that fills the frame is
    larger than any that the detector knows; then in an enlarged grid of overlapping tiles. Each one holds
    tens of megabytes and four threads until it's closed.
    """

    scheme = "mediapipe478"

    def __init__(self, max_faces: int = 8) -> None:
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

        x, y = face.points[FOREHEAD] - face.points[CHIN]
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


class FaceAlignmentDetector:
    """The `face-alignment` package's 68 iBUG points. It downloads its weights at first use."""

    scheme = "ibug68"

    def __init__(self, device: str = "cpu") -> None:
        try:
            import face_alignment

            self._net = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device=str(device))
        except Exception as error:  # urllib's, torch.hub's or the package's own: all mean "no weights"
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PortraitError(
                f"detector 'face-alignment': its weights can't be loaded ({reason}); "
                "run it once with a network connection, or use --detector mediapipe"
            ) from None

    def detect(self, picture: np.ndarray) -> list[Face]:
        height, width = picture.shape[:2]
        scale = max(1.0, 480 / min(height, width))
        if scale > 1:
            import cv2

            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        points, scores, _ = self._net.get_landmarks_from_image(
            picture, return_bboxes=True, return_landmark_score=True
        ) or (None, None, None)
        faces = [
            Face((p[:, :2] + 0.5) / scale, self.scheme, float(np.clip(np.mean(s), 0, 1)))
            for p, s in zip(points or [], scores or [])
        ]
        return sorted(faces, key=lambda f: -f.size)

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        side = size * MARGIN
        found = self.detect(square_crop(picture, centre, side, CROP))
        if not found:
            return None
        return Face(centre + (found[0].points / CROP - 0.5) * side, self.scheme, found[0].confidence)

    def close(self) -> None:
        self._net = None


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
