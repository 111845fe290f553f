"""How far a fitted face is from the true one, or from the picture."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from facemodel import FaceParameters
from facemodel.gaze import gaze_direction
from renderer import Camera, rasterize, render, rotation_matrix, surface_points


def rigid(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation (3, 3) and shift (3,) with b ~ R a + t in least squares (Kabsch 1976), for (N, 3) points each.

    The third is the factor by which a would have to be enlarged as well to be nearest (Umeyama, TPAMI 1991).
    """
    ma, mb = a.mean(0), b.mean(0)
    u, d, vt = np.linalg.svd((b - mb).T @ (a - ma))
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    return rotation, mb - rotation @ ma, float((d * sign).sum() / ((a - ma) ** 2).sum())


def vertex_distances(a: Tensor, b: Tensor, enlarge: bool = False) -> np.ndarray:
    """(N,) mm between (N, 3) points, a moved rigidly onto b; with ``enlarge`` scaled onto it too."""
    a, b = a.double().numpy(), b.double().numpy()
    rotation, _, scale = rigid(a, b)
    a, b = (a - a.mean(0)) @ rotation.T * (scale if enlarge else 1.0), b - b.mean(0)
    return np.linalg.norm(a - b, axis=1)


def rotation_degrees(a: Tensor, b: Tensor) -> Tensor:
    """(F,) angle of the turn between axis-angles (F, 3)."""
    turn = rotation_matrix(a.double()).transpose(-1, -2) @ rotation_matrix(b.double())
    cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return cosine.clamp(-1, 1).acos().rad2deg()


def gaze_degrees(a: Tensor, b: Tensor) -> Tensor:
    """(F, 2) angle between the directions of gazes (F, 2, 2), an eye."""
    cosine = (gaze_direction(a.double()) * gaze_direction(b.double())).sum(-1)
    return cosine.clamp(-1, 1).acos().rad2deg()


def after_scale(a: Tensor, b: Tensor) -> float:
    """Root mean square of s a - b with the best factor s."""
    factor = (a * b).sum() / a.square().sum().clamp_min(1e-12)
    return float((factor * a - b).square().mean().sqrt())


def face_pixels(model, parameters: FaceParameters, camera: Camera) -> Tensor:
    """(F, H, W) bool: where F frames' faces are the nearest surface, eyes and mouths included, ears, hair, neck not."""
    nearest = rasterize(surface_points(model, parameters), model.triangles, camera).pix_to_face[..., 0]
    around = model.region("neck") | model.region("ears") | model.region("scalp")
    own = torch.arange(len(nearest)).view(-1, 1, 1) * len(model.triangles)
    return (nearest >= 0) & ~around[model.triangles].any(1)[(nearest - own).clamp_min(0)]


def skin_pixels(model, parameters: FaceParameters, camera: Camera) -> Tensor:
    """(H, W) bool: where one face's skin or lips are the nearest surface."""
    nearest = rasterize(surface_points(model, parameters), model.triangles, camera).pix_to_face[0, ..., 0]
    skin = (model.region("skin") | model.region("lips"))[model.triangles].all(1)
    return (nearest >= 0) & skin[nearest.clamp_min(0)]


def photometric_error(
    model, parameters: FaceParameters, camera: Camera, pictures: Iterable[tuple[int, np.ndarray]]
) -> list[float]:
    """Mean absolute difference in sRGB, of 255, over the fitted face's skin, for each (frame, (H, W, 3) uint8)."""
    out = []
    for k, picture in pictures:
        own = parameters[k]
        skin = skin_pixels(model, own, camera)
        if not skin.any():
            continue
        shaded = render(model, own, camera)["diffuse"][0][skin] * 255
        out.append(float((shaded - torch.from_numpy(picture)[skin]).abs().mean()))
    return out
