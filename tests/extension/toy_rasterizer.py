"""A rasteriser that one file adds: every pixel of the triangles' bounding boxes tried in turn, in numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from geometry.camera import Camera
from renderer import Fragments
from renderer.rasterizers import NEAR, RASTERIZERS, Rasterizer

calls: list[tuple[int, int]] = []
"""Height and width of each picture that was drawn."""


def cross(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Of vectors (..., 2)."""
    return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]


def rasterize(points_cam: Tensor, triangles: Tensor, camera: Camera) -> Fragments:
    """See `renderer.rasterizers.rasterize`."""
    shape = len(points_cam), camera.height, camera.width, 1
    faces, depth, bary = np.full(shape, -1), np.full(shape, np.inf), np.full((*shape, 3), -1.0)
    fx, fy, cx, cy = (v.expand(len(points_cam)).tolist() for v in camera.values(points_cam.double()))
    for n, points in enumerate(points_cam.double().cpu().numpy()):
        calls.append((camera.height, camera.width))
        u, v = fx[n] * points[:, 0] / points[:, 2] + cx[n], fy[n] * points[:, 1] / points[:, 2] + cy[n]
        for t, corners in enumerate(triangles.tolist()):
            z = points[corners, 2]
            if z.min() <= NEAR:
                continue
            a, b, c = np.stack([u[corners], v[corners]], -1)
            area = cross(b - a, c - a)
            low, high = np.minimum(np.minimum(a, b), c) - 0.5, np.maximum(np.maximum(a, b), c) - 0.5
            columns = np.arange(max(int(np.ceil(low[0])), 0), min(int(np.floor(high[0])) + 1, camera.width))
            rows = np.arange(max(int(np.ceil(low[1])), 0), min(int(np.floor(high[1])) + 1, camera.height))
            if not area or not len(columns) or not len(rows):
                continue
            at = np.stack(np.meshgrid(columns + 0.5, rows + 0.5), -1)
            a, b, c = (corner - at for corner in (a, b, c))
            weights = np.stack([cross(b, c), cross(c, a), cross(a, b)], -1) / area
            distance = 1 / (weights / z).sum(-1)
            window = n, slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1), 0
            won = (weights >= 0).all(-1) & (distance < depth[window])
            faces[window][won] = n * len(triangles) + t
            depth[window][won] = distance[won]
            bary[window][won] = (weights / z * distance[..., None])[won]
    depth[faces < 0] = -1
    back = lambda array, kind: torch.from_numpy(array).to(points_cam.device, kind)  # noqa: E731
    return Fragments(back(faces, torch.int64), back(depth, torch.float32), back(bary, torch.float32))


def register() -> None:
    RASTERIZERS.add("toy", Rasterizer("toy", rasterize))
