"""SphereFace's crop: a face turned, scaled and shifted so that five points come to fixed places; and the head's yaw."""

from __future__ import annotations

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import Face
from geometry.camera import FLIP

HEIGHT, WIDTH = 112, 96  # px
# In the crop, px, pixel centres at +0.5 (the authors' numbers count pixel centres from 1): the eye on the left of the
# picture, the one on the right, tip of the nose, corners of the mouth.
PLACES = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]]
) - 0.5  # fmt: skip


def five_points(face: Face) -> np.ndarray:
    """(5, 2) px of a face: eyes, tip of the nose, corners of the mouth, as `LandmarkScheme.five_points` has them."""
    return np.stack([face.points[list(rows)].mean(0) for rows in SCHEMES[face.scheme].five_points])


def similarity_transform(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(2, 3) turn, scale and shift, without reflection, that takes (P, 2) points nearest to (P, 2) places."""
    rows = np.zeros((len(points), 2, 4))
    rows[:, 0] = np.stack([points[:, 0], -points[:, 1], np.ones(len(points)), np.zeros(len(points))], 1)
    rows[:, 1] = np.stack([points[:, 1], points[:, 0], np.zeros(len(points)), np.ones(len(points))], 1)
    a, b, x, y = np.linalg.lstsq(rows.reshape(-1, 4), places.reshape(-1), rcond=None)[0]
    return np.array([[a, -b, x], [b, a, y]])


def align(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(112, 96, 3) uint8 crop of an (H, W, 3) picture by its five points; black outside the picture."""
    import cv2

    matrix = similarity_transform(points, PLACES)
    shrink = int(1 / np.hypot(*matrix[:, 0]))
    if shrink > 1:  # average before thinning out
        height, width = (n // shrink * shrink for n in picture.shape[:2])
        size = (width // shrink, height // shrink)
        picture = cv2.resize(picture[:height, :width], size, interpolation=cv2.INTER_AREA)
        matrix = similarity_transform(points / shrink, PLACES)
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # cv2 puts pixel centres at whole numbers
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def align_face(picture: np.ndarray, face: Face) -> np.ndarray:
    """``align`` by the landmarks of a face, of any scheme."""
    return align(picture, five_points(face))


def centre_crop(picture: np.ndarray) -> np.ndarray:
    """The largest middle part of the crop's shape, (112, 96, 3): for pictures in which no face is found."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(height / HEIGHT, width / WIDTH)
    h, w = max(1, int(HEIGHT * scale)), max(1, int(WIDTH * scale))
    top, left = (height - h) // 2, (width - w) // 2
    return cv2.resize(picture[top : top + h, left : left + w], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def middle_face(faces: list[Face], shape: tuple[int, ...]) -> Face | None:
    """The face nearest to the picture's middle: data sets are made so that it is the one that is meant."""
    middle = np.array([shape[1], shape[0]]) / 2
    return min(faces, key=lambda f: float(np.hypot(*(f.centre - middle))), default=None)


class YawEstimate:
    """A head's yaw against the line from the camera to it, by PnP of its landmarks on the mean face.

    A cropped picture doesn't tell where the optical axis was, so the line of sight takes its place. Any model, and any
    scheme that it has; PortraitError for a face of another.
    """

    def __init__(self, model: FaceModel):
        self.model = model
        self._points: dict[str, np.ndarray] = {}  # (L, 3) of the mean face by scheme, in OpenCV's axes

    def __call__(self, face: Face) -> float:
        """Degrees, positive to the subject's left; NaN where PnP finds no pose."""
        import cv2

        there = np.array(SCHEMES[face.scheme].skin)
        there = there[np.isfinite(face.points[there, 0])]
        points, pixels = self._of(face.scheme)[there], np.ascontiguousarray(face.points[there])
        focal = 6 * face.size  # a face fills a sixth of it: about 10 degrees, a portrait's distance
        camera = np.array([[focal, 0, face.centre[0]], [0, focal, face.centre[1]], [0, 0, 1.0]])
        found, turn, _ = cv2.solvePnP(points, pixels, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if not found:
            return float("nan")
        forward = cv2.Rodrigues(turn)[0] @ [0, 0, -1.0]  # where the face looks, in OpenCV's axes
        return float(np.degrees(np.arctan2(forward[0], -forward[2])))

    def _of(self, scheme: str) -> np.ndarray:
        if scheme not in self._points:
            with torch.no_grad():
                mean = self.model.landmarks(self.model.mean, scheme)
            self._points[scheme] = mean.double().cpu().numpy() * FLIP
        return self._points[scheme]
