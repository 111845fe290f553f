"""A head's angles from its landmarks in a picture, without a camera."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facemodel.base import FaceModel
from facemodel.editing.poses import head_angles
from facemodel.landmark_schemes import SCHEMES

ANGLES = ("yaw", "pitch", "roll")


def landmark_angles(points: np.ndarray, scheme: str, model: FaceModel) -> np.ndarray:
    """(N, 3) yaw to the subject's left, pitch up, roll counter-clockwise as seen; radians.

    The rotation of a resting mean face under whose scaled orthographic projection its points lie nearest: the affine
    projection of least squares, made orthogonal. Points that slide over the surface or turn with the eyes don't count.
    A face of another shape than the mean's has a pitch of a few degrees at rest, always the same.

    points: (N, L, 2), x to the right and y down, in any unit. PortraitError for a scheme that the model doesn't have.
    """
    shape = model.landmarks(model.mean, scheme).cpu().double().numpy()
    known = SCHEMES[scheme]
    used = np.setdiff1d(known.skin, known.outline)
    shape, seen = shape[used], points[:, used].astype(np.float64) * (1, -1)
    shape, seen = shape - shape.mean(0), seen - seen.mean(1, keepdims=True)
    affine = np.swapaxes(np.linalg.pinv(shape) @ seen, 1, 2)  # (N, 2, 3)
    u, _, v = np.linalg.svd(affine, full_matrices=False)
    rows = u @ v
    turn = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    return head_angles(torch.from_numpy(Rotation.from_matrix(turn).as_rotvec()))
