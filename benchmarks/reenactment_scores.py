"""How good synthesised crops are beside the real ones."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.image_metrics import landmark_error, mean_over, pool_scales, psnr, scale_maps, ssim_map, temporal_error
from fitting.landmarks.base import Face, LandmarkDetector
from neural_render.methods.deep_video_portraits.conditioning import FACE, Crop
from recognition.embedding import FaceEmbedding, similarity

EYE_CORNERS = ((263, 362), (33, 133))
LOOKED_AT = 48
"""Frames, evenly spread, in which landmarks and identity are measured."""


@dataclass(frozen=True)
class Held:
    """The real crops that are to be made again."""

    frames: np.ndarray  # (N,) rising
    pictures: np.ndarray  # (N, S, S, 3) uint8
    maps: np.ndarray  # (N, S, S, 9) uint8
    landmarks: np.ndarray  # (N, 478, 2) px of the crop, as the track has them
    faces: np.ndarray  # (N, S, S) bool: see `benchmarks.measures.face_pixels`

    def masks(self, k: int) -> dict[str, np.ndarray | None]:
        """(S, S) bool of each region of picture k; None is all of it."""
        head, features = self.maps[k, ..., FACE].max(-1) > 0, mouth_and_eyes(self.landmarks[k], self.maps.shape[1])
        return {"": None, "_head": head, "_face": self.faces[k], "_mouth_eyes": features}


def mouth_and_eyes(points: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: lips and eyes of MediaPipe's points (478, 2) px, with a tenth of the eyes' distance around."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_LEFT_EYE, FACEMESH_LIPS, FACEMESH_RIGHT_EYE

    mask = np.zeros((size, size), np.uint8)
    for edges in (FACEMESH_LIPS, FACEMESH_LEFT_EYE, FACEMESH_RIGHT_EYE):
        chosen = points[sorted({k for edge in edges for k in edge})]
        cv2.fillConvexPoly(mask, cv2.convexHull((chosen - 0.5).round().astype(np.int32)), 1)
    apart = np.linalg.norm(points[list(EYE_CORNERS[0])].mean(0) - points[list(EYE_CORNERS[1])].mean(0))
    side = 2 * max(1, round(0.1 * apart)) + 1
    return cv2.dilate(mask, np.ones((side, side), np.uint8)) > 0


def to_crop(points: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """Points (..., 2) of the original frame, px, in the crop at ``size`` px."""
    return (points - [crop.x0, crop.y0]) * (size / crop.side)


def sharpness(picture: np.ndarray, mask: np.ndarray) -> float:
    """Mean squared gradient of a picture (S, S, 3) uint8 inside a mask (S, S) bool, of 255 a px."""
    grey = picture.astype(np.float32).mean(-1)
    down, right = np.gradient(grey)
    return float((down**2 + right**2)[mask].mean())


class Scorer:
    """Scores clips of crops; the real ones' landmarks and embeddings are found once."""

    def __init__(self, held: Held, detector: LandmarkDetector, embedding: FaceEmbedding) -> None:
        self.held, self.detector, self.embedding = held, detector, embedding
        count = len(held.frames)
        self.looked_at = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(int))
        self.faces = {k: self._face(held.pictures[k], k) for k in self.looked_at}
        self.known = {k: embedding(held.pictures[k], f) for k, f in self.faces.items() if f is not None}

    def _face(self, picture: np.ndarray, k: int) -> Face | None:
        where = Face(self.held.landmarks[k], self.detector.scheme, 1.0)
        return self.detector.refine(np.ascontiguousarray(picture), where.centre, where.size)

    def __call__(self, made: np.ndarray) -> dict[str, float]:
        """Means over the frames of pictures (N, S, S, 3) uint8.

        sharpness: gradient energy of the face over the real frame's. flicker: mean change from frame to frame over the
        real clip's.
        psnr dB, ssim, ms_ssim: of the whole crop, of the head with its neck (clothes and hair, too), of the face, of
        mouth and eyes. landmark_nme: share of the eyes'
        distance; landmarks_found: share of the frames whose landmarks were found. identity: cosine of the embeddings.
        temporal: of 255.
        """
        rows = []
        for k, (picture, real) in enumerate(zip(made, self.held.pictures)):
            finest, scales, row = ssim_map(picture, real), scale_maps(picture, real), {}
            for region, mask in self.held.masks(k).items():
                row["psnr" + region] = psnr(picture, real, mask)
                row["ssim" + region] = mean_over(finest, mask)
                row["ms_ssim" + region] = pool_scales(scales, mask)
            row["sharpness"] = sharpness(picture, self.held.masks(k)["_face"]) / sharpness(
                real, self.held.masks(k)["_face"]
            )
            rows.append(row)
        scores = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        real, frames = self.held.pictures, self.held.frames
        still = np.zeros_like(real)
        change = [temporal_error(clip, still, frames) for clip in (made, real)]
        flicker = change[0] / max(change[1], 1e-6)
        return scores | self._look(made) | {"temporal": temporal_error(made, real, frames), "flicker": flicker}

    def _look(self, made: np.ndarray) -> dict[str, float]:
        errors, alike = [], []
        for k, embedding in self.known.items():
            face = self._face(made[k], k)
            if face is not None:
                errors.append(landmark_error(face.points, self.faces[k].points, EYE_CORNERS))
                alike.append(similarity(self.embedding(made[k], face), embedding))
        return {
            "landmark_nme": float(np.mean(errors)) if errors else float("nan"),
            "landmarks_found": len(errors) / len(self.known),
            "identity": float(np.mean(alike)) if alike else float("nan"),
        }
