"""A first estimate from nothing but a frame's landmarks."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from fitting.energy.landmark_points import LandmarkPoints
from fitting.observation.crop import Observation
from fitting.policy.settings import FirstEstimate
from fitting.solver.state import FitState, Unknowns
from geometry.camera import FLIP


def focal_from_frame(width: float, height: float, policy: FirstEstimate = FirstEstimate()) -> float:
    """px, a guess where nothing is known: from a usual field of view over the longer side."""
    return 0.5 * max(width, height) / math.tan(math.radians(policy.field_of_view) / 2)


def initial_state(
    marks: LandmarkPoints,
    points: Tensor,
    seen: Observation,
    focal: float,
    unknowns: Unknowns,
    samples: int,
    policy: FirstEstimate = FirstEstimate(),
) -> FitState:
    """Pose of each frame by PnP on a resting face's landmarks ``points`` (L, 3); straight gaze, white ambient light.

    Identity, expression and the other coefficients are at their prior's mean. ``samples``: of the surface.
    """
    device, frames = points.device, len(seen)
    skin = ((marks.eye < 0) & (marks.weights > policy.least_weight)).cpu().numpy()
    # OpenCV's axes: the model turned by FLIP.
    model_points = points.cpu().double().numpy() * FLIP
    middle = seen.frame_centre.cpu().double().numpy()
    poses = [
        _pose(model_points, seen.landmarks[f].cpu().double().numpy(), skin, focal, middle, policy)
        for f in range(frames)
    ]
    rotations, translations = zip(*poses)
    tensor = lambda a: torch.tensor(np.stack(a), dtype=torch.float32, device=device)  # noqa: E731
    light = torch.zeros(frames, 9, 3, device=device)
    light[:, 0] = policy.light * seen.exposure[:, None]
    rest = lambda name: unknowns.part(unknowns.mean, name).float()  # noqa: E731
    return FitState(
        identity=rest("identity"),
        reflectance=rest("reflectance"),
        detail=torch.zeros(samples, 3, device=device),
        brows=torch.zeros(len(marks.on_brows), device=device),
        log_focal=torch.tensor(math.log(focal), device=device),
        rotation=tensor(rotations),
        translation=tensor(translations),
        expression=rest("expression").repeat(frames, 1),
        gaze=torch.zeros(frames, 2, 2, device=device),
        light=light,
        joints=rest("joints").repeat(frames, 1),
    )


def _pose(
    points: np.ndarray, pixels: np.ndarray, skin: np.ndarray, focal: float, middle: np.ndarray, policy: FirstEstimate
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) in the model's axes and translation (3,) mm of one frame; facing the camera where PnP fails."""
    import cv2

    camera = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    known = np.isfinite(pixels).all(1)
    used, flip = skin & known, np.diag(FLIP)
    ok = used.sum() >= 4
    if ok:
        try:
            ok, turn, shift = cv2.solvePnP(points[used], pixels[used], camera, None, flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:  # it refuses faces of a small angle: 20 px in a narrow field of view
            turn, shift = np.zeros((3, 1)), _facing(pixels[used], focal, middle, policy)[:, None]
    if ok:
        ok, turn, shift = cv2.solvePnP(
            points[used], pixels[used], camera, None, turn, shift, True, cv2.SOLVEPNP_ITERATIVE
        )
    if ok and shift[2, 0] > 0 and np.isfinite(shift).all():
        return flip @ cv2.Rodrigues(turn)[0] @ flip, shift[:, 0]
    return np.eye(3), _facing(pixels[known] if known.any() else middle[None], focal, middle, policy)


def _facing(pixels: np.ndarray, focal: float, middle: np.ndarray, policy: FirstEstimate) -> np.ndarray:
    """Translation (3,) mm of a head that looks into the camera."""
    depth = focal * policy.face / max(float(np.ptp(pixels, axis=0).max()), 1.0)
    return np.append((pixels.mean(0) - middle) / focal * depth, depth)
