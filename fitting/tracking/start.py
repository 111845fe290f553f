"""A first estimate from nothing but a frame's landmarks."""

from __future__ import annotations

import math

import numpy as np
import torch

from fitting.energy.samples import LandmarkSamples
from fitting.observation.crop import Observation
from fitting.solver.state import FitState


def focal_from_frame(width: float, height: float) -> float:
    """A guess where nothing is known: a field of view of 45 degrees over the longer side."""
    return 0.5 * max(width, height) / math.tan(math.radians(45) / 2)


def initial_state(
    s: LandmarkSamples, neutral: torch.Tensor, seen: Observation, focal: float, sizes: tuple[int, int, int]
) -> FitState:
    """Pose of each frame by PnP on the neutral face (L, 3); no expression, straight gaze, white ambient light.

    ``sizes`` are the numbers of identity and reflectance coefficients and of surface samples.
    """
    import cv2

    device, frames = neutral.device, len(seen)
    skin = ((s.eye < 0) & (s.weights > 0.2)).cpu().numpy()
    # OpenCV's axes: the model turned by FLIP.
    points = (neutral.cpu().double().numpy() * [1, -1, -1])[skin]
    middle = seen.frame_centre.cpu().double().numpy()
    camera = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    flip = np.diag([1.0, -1.0, -1.0])
    rotations, translations = [], []
    for f in range(frames):
        pixels = seen.landmarks[f].cpu().double().numpy()[skin]
        try:
            ok, turn, shift = cv2.solvePnP(points, pixels, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:  # it refuses faces of a small angle: 20 px in a 4K picture
            ok, (turn, shift) = True, _facing(pixels, middle, focal, float(seen.face_size[f]))
        if ok:
            ok, turn, shift = cv2.solvePnP(points, pixels, camera, None, turn, shift, True, cv2.SOLVEPNP_ITERATIVE)
        if not ok or shift[2, 0] <= 0 or not np.isfinite(shift).all():
            turn, shift = _facing(pixels, middle, focal, float(seen.face_size[f]))
        rotations.append(flip @ cv2.Rodrigues(turn)[0] @ flip)
        translations.append(shift[:, 0])
    tensor = lambda a: torch.tensor(np.stack(a), dtype=torch.float32, device=device)  # noqa: E731
    light = torch.zeros(frames, 9, 3, device=device)
    light[:, 0] = 0.6 / 0.282095
    return FitState(
        identity=torch.zeros(sizes[0], device=device),
        reflectance=torch.zeros(sizes[1], device=device),
        detail=torch.zeros(sizes[2], 3, device=device),
        brows=torch.zeros(len(s.on_brows), device=device),
        log_focal=torch.tensor(math.log(focal), device=device),
        rotation=tensor(rotations),
        translation=tensor(translations),
        expression=torch.zeros(frames, s.expression.shape[-1], device=device),
        gaze=torch.zeros(frames, 2, 2, device=device),
        light=light,
    )


def _facing(pixels: np.ndarray, middle: np.ndarray, focal: float, size: float) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's rotation and translation (3, 1) of a head of 150 mm that looks into the camera."""
    depth = focal * 150.0 / size
    return np.zeros((3, 1)), np.append((pixels.mean(0) - middle) / focal * depth, depth)[:, None]
