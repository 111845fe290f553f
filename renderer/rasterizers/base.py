"""What a rasteriser is, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.errors import PortraitError
from geometry.camera import Camera
from renderer.fragments import Fragments

NEAR = 1e-3
"""mm. A triangle with a vertex at or behind this depth is dropped, not clipped."""


def _anywhere(device: torch.device) -> str | None:
    return None


@dataclass(frozen=True)
class Rasterizer:
    """One way to find the nearest triangle at each pixel centre, under the name by which it's chosen."""

    name: str
    rasterize: Callable[[Tensor, Tensor, Camera], Fragments]
    """(N, V, 3) mm in the camera frame, without gradients, N and V at least 1; (T, 3) triangles, T at least 1; the
    camera -> `Fragments` on the points' device. What it must keep to is in `renderer.rasterizers.rasterize`."""
    available: Callable[[torch.device], str | None] = _anywhere
    """None where it can draw what lies on a device, else the reason and what would help, in words."""


def check_triangles(triangles: Tensor, n_points: int) -> None:
    """PortraitError where a triangle refers to a vertex that doesn't exist."""
    wrong = ((triangles < 0) | (triangles >= n_points)).any(1).nonzero()
    if len(wrong):
        raise missing_vertex(int(wrong[0]), triangles, n_points)


def missing_vertex(number: int, triangles, n_points: int) -> PortraitError:
    """The error that triangle ``number``, of a tensor or array (T, 3), refers to a vertex that doesn't exist."""
    return PortraitError(
        f"rasterize triangles: expected vertex numbers from 0 to {n_points - 1}, "
        f"got {triangles[number].tolist()} in triangle {number}"
    )


def intrinsics(camera: Camera, count: int) -> list[tuple[float, float, float, float]]:
    """fx, fy, cx, cy in px of each of ``count`` pictures; PortraitError where the camera has another number of them."""
    cx, cy = camera.principal_point
    fy = camera.focal if camera.focal_y is None else camera.focal_y
    lists = []
    for name, value in (("focal", camera.focal), ("focal_y", fy), ("cx", cx), ("cy", cy)):
        numbers = value.detach().reshape(-1).tolist() if isinstance(value, Tensor) else [float(value)]
        if len(numbers) not in (1, count):
            raise PortraitError(f"camera {name}: expected 1 or {count} values, one a picture, got {len(numbers)}")
        lists.append(numbers * count if len(numbers) == 1 else numbers)
    return list(zip(*lists))
