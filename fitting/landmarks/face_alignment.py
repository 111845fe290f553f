"""The `face-alignment` package as a detector of the 68 points of iBUG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facemodel.landmark_schemes import IBUG68
from fitting.landmarks.base import Face, square_crop
from foundation.errors import PortraitError


@dataclass(frozen=True)
class SearchPolicy:
    """In what pictures and squares faces are looked for."""

    least_side: int = 480  # px of a picture: smaller ones are enlarged
    crop: int = 256  # px, side of the square about a face that is looked at again
    margin: float = 1.7  # of that square over the face's box


class FaceAlignmentDetector:
    """It downloads its weights at first use."""

    name, scheme = "face-alignment", IBUG68.name

    def __init__(self, device: str = "cpu", policy: SearchPolicy = SearchPolicy()) -> None:
        self.policy = policy
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
        scale = max(1.0, self.policy.least_side / min(height, width))
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
        side, crop = size * self.policy.margin, self.policy.crop
        found = self.detect(square_crop(picture, centre, side, crop))
        if not found:
            return None
        return Face(centre + (found[0].points / crop - 0.5) * side, self.scheme, found[0].confidence)

    def close(self) -> None:
        self._net = None
