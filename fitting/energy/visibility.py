"""Which surface points the camera sees: not behind another part of the head."""

from __future__ import annotations

from torch import Tensor

from fitting.energy.residuals import flip
from fitting.energy.surface import SampledSurface
from fitting.observation.crop import Observation
from fitting.policy.settings import Visibility
from fitting.solver.state import FitState
from geometry.camera import Camera
from renderer.rasterizers import rasterize


def in_picture(where: Tensor, seen: Observation, policy: Visibility) -> Tensor:
    """(F, N) float, 1 where a sample at (F, N, 2) of the square about the face lies in the picture: beyond is black."""
    place = where * seen.side[:, None, None] + seen.corner[:, None]
    margin = (policy.edge * seen.side)[:, None, None]
    return ((place > margin) & (place < 2 * seen.frame_centre - margin)).all(-1).float()


def visible_samples(
    surface: SampledSurface, head: tuple[Tensor, Tensor], state: FitState, seen: Observation, policy: Visibility
) -> tuple[Tensor, Tensor]:
    """Which samples the camera sees, and where.

    Args:
        head: what hides them: vertices (F, V, 3) mm, model frame, and triangles (T, 3) between them.

    Returns:
        (F, N) float, 1 where a sample is in front of the depth buffer of the whole head, 0 where it's hidden; and
        (F, N, 2), its place in the square about the face, 0 to 1.
    """
    axes, size = flip(state.light), policy.buffer
    vertices, triangles = head
    points = (vertices @ state.rotation.transpose(1, 2)) * axes + state.translation[:, None]
    scale = size / seen.side
    middle = (seen.frame_centre - seen.corner) * scale[:, None]
    focal = state.log_focal.exp() * scale
    camera = Camera(focal=focal, width=size, height=size, cx=middle[:, 0], cy=middle[:, 1])
    depth = rasterize(points, triangles, camera).zbuf[..., 0]  # (F, S, S)

    position = surface.points.positions.at(state.motion)
    p = (position @ state.rotation.transpose(1, 2)) * axes + state.translation[:, None]
    uv = focal[:, None, None] * p[..., :2] / p[..., 2:] + middle[:, None]
    pixel = uv.long().clamp(0, size - 1)
    at = depth.flatten(1).gather(1, pixel[..., 1] * size + pixel[..., 0])
    return ((at < 0) | (p[..., 2] < at + policy.tolerance)).float(), uv / size
