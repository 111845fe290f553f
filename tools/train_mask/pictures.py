"""Synthetic people as the landmark network's training has them, and with them where their face is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facemodel import FaceParameters
from renderer import Camera, interpolate, rasterize, surface_points
from tools.train_landmarks.pictures import as_bytes, model, portrait

FACE = ("face", "lips", "eyes", "mouth_inside", "teeth", "tongue")  # regions; the rest of the head is hair on most
LARGER = 2  # times, drawn so and averaged


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(SIZE, SIZE, 5) uint8: colour times alpha, alpha, share of the face; and landmarks (478, 2) px."""
    drawn = portrait(seed)
    face = face_alpha(model(), drawn.truth, drawn.camera)[..., None]
    return as_bytes(torch.cat([drawn.picture, face], -1)), drawn.points


def face_alpha(model, truth: FaceParameters, camera: Camera) -> Tensor:
    """(H, W) in [0, 1]: how much of each pixel is the face of one person."""
    inside = torch.stack([model.region(name) for name in FACE]).any(0).float()[:, None]
    fragments = rasterize(
        surface_points(model, truth), model.triangles, camera.resized(camera.width * LARGER, camera.height * LARGER)
    )
    with torch.inference_mode():
        seen = interpolate(fragments, inside, model.triangles)[..., 0]
        return torch.nn.functional.avg_pool2d(seen, LARGER)[0].clamp(0, 1)
