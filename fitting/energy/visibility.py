"""Which surface points the camera sees: not behind another part of the head."""

from __future__ import annotations

import torch
from torch import Tensor

from facemodel.base import FaceModel
from fitting.energy.terms import SurfaceGeometry
from fitting.observation.crop import Observation
from fitting.solver.state import FitState
from geometry.camera import Camera
from renderer.rasterizers import rasterize

BUFFER = 96  # px, side of the depth buffer over the crop
TOLERANCE = 4.0  # mm
MARGIN = 1 / 64  # of the square's side: nearer to the picture's edge a pyramid's level has black in it


def in_picture(where: Tensor, seen: Observation) -> Tensor:
    """(F, N) float, 1 where a sample at (F, N, 2) of the square about the face lies in the picture: beyond is black."""
    place = where * seen.side[:, None, None] + seen.corner[:, None]
    margin = (MARGIN * seen.side)[:, None, None]
    return ((place > margin) & (place < 2 * seen.frame_centre - margin)).all(-1).float()


def visible_samples(
    model: FaceModel,
    neutral_vertices: Tensor,
    geometry: SurfaceGeometry,
    state: FitState,
    seen: Observation,
) -> tuple[Tensor, Tensor]:
    """Which samples the camera sees, and where.

    Args:
        neutral_vertices: (V, 3) mm, mean + identity part.

    Returns:
        (F, N) float, 1 where a sample is in front of the depth buffer of the whole head, 0 where it's hidden; and
        (F, N, 2), its place in the square about the face, 0 to 1.
    """
    flip = state.light.new_tensor([1.0, -1.0, -1.0])
    vertices = neutral_vertices + torch.einsum("evk,fe->fvk", model.expression_basis, state.expression)
    points = (vertices @ state.rotation.transpose(1, 2)) * flip + state.translation[:, None]
    scale = BUFFER / seen.side
    middle = (seen.frame_centre - seen.corner) * scale[:, None]
    focal = state.log_focal.exp() * scale
    camera = Camera(focal=focal, width=BUFFER, height=BUFFER, cx=middle[:, 0], cy=middle[:, 1])
    depth = rasterize(points, model.triangles, camera).zbuf[..., 0]  # (F, S, S)

    s = geometry.samples
    position = geometry.neutral[:, :3] + torch.einsum("nke,fe->fnk", s.expression[:, :3], state.expression)
    p = (position @ state.rotation.transpose(1, 2)) * flip + state.translation[:, None]
    uv = focal[:, None, None] * p[..., :2] / p[..., 2:] + middle[:, None]
    pixel = uv.long().clamp(0, BUFFER - 1)
    at = depth.flatten(1).gather(1, pixel[..., 1] * BUFFER + pixel[..., 0])
    return ((at < 0) | (p[..., 2] < at + TOLERANCE)).float(), uv / BUFFER
