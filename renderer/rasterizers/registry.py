"""One ``rasterize`` over three rasterisers: in plain torch for CUDA, compiled for the CPU, and PyTorch3D's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from geometry.camera import Camera
from renderer.fragments import Fragments

BACKENDS = ("auto", "cpu", "torch", "pytorch3d")

NEAR = 1e-3
"""mm. A triangle with a vertex at or behind this depth is dropped, not clipped."""


def rasterize(points_cam: Tensor, triangles: Tensor, camera: Camera, backend: str = "auto") -> Fragments:
    """Finds the nearest triangle at each pixel centre.

    Both sides of a triangle are drawn. A triangle with a vertex at or behind ``NEAR`` is dropped whole; parts
    beyond the picture are clipped. Pixel centres exactly on an edge belong to one of its triangles, with PyTorch3D
    to none. The result isn't differentiable itself: ``interpolate`` with ``points_cam`` works
    the barycentrics out again from the vertices.

    Args:
        points_cam: (N, V, 3) mm, camera frame, any device. (V, 3) is taken as N = 1.
        triangles: (T, 3) int64, the same for all pictures.
        camera: its tensors, if any, of shape () or (N,).
        backend: "auto" is "torch" on CUDA and "cpu" (compiled by Numba) elsewhere. Each takes tensors of any
            device and returns them on the same device.

    Raises:
        PortraitError: unknown backend, PyTorch3D asked for and not there, or shapes that don't fit.
    """
    check_backend(backend)
    if points_cam.dim() == 2:
        points_cam = points_cam[None]
    if points_cam.dim() != 3 or points_cam.shape[-1] != 3:
        raise PortraitError(f"rasterize points_cam: expected shape (N, V, 3), got {tuple(points_cam.shape)}")
    if triangles.dim() != 2 or triangles.shape[-1] != 3:
        raise PortraitError(f"rasterize triangles: expected shape (T, 3), got {tuple(triangles.shape)}")
    points_cam = points_cam.detach()
    if not len(triangles) or not points_cam.shape[0] or not points_cam.shape[1]:
        return _empty(points_cam, camera)
    if backend == "torch" or (backend == "auto" and points_cam.is_cuda):
        from renderer.rasterizers import torch as _torch

        wrong = ((triangles < 0) | (triangles >= points_cam.shape[1])).any(1).nonzero()
        check_vertex_numbers(int(wrong[0]) if len(wrong) else -1, triangles, points_cam.shape[1])
        per_picture(camera, len(points_cam))
        return _torch.rasterize(points_cam, triangles, camera, NEAR)
    if backend == "pytorch3d":
        from renderer.rasterizers import pytorch3d as _pytorch3d

        return _pytorch3d.rasterize(points_cam, triangles, camera)
    return _rasterize_cpu(points_cam, triangles, camera)


def check_backend(backend: str) -> None:
    """Raises PortraitError where there is no such backend."""
    if backend not in BACKENDS:
        raise PortraitError(f"rasterizer backend: expected one of {', '.join(BACKENDS)}, got '{backend}'")


def check_vertex_numbers(bad: int, triangles: np.ndarray | Tensor, n_points: int) -> None:
    """Raises PortraitError where ``bad`` is the number of a triangle rather than -1."""
    if bad >= 0:
        raise PortraitError(
            f"rasterize triangles: expected vertex numbers from 0 to {n_points - 1}, "
            f"got {triangles[bad].tolist()} in triangle {bad}"
        )


def _empty(points_cam: Tensor, camera: Camera) -> Fragments:
    shape = (points_cam.shape[0], camera.height, camera.width, 1)
    new = lambda dtype, *more: torch.full((*shape, *more), -1, dtype=dtype, device=points_cam.device)  # noqa: E731
    return Fragments(new(torch.int64), new(torch.float32), new(torch.float32, 3))


def _rasterize_cpu(points_cam: Tensor, triangles: Tensor, camera: Camera) -> Fragments:
    from renderer.rasterizers.numba_kernels import rasterize_picture

    device = points_cam.device
    count, n_triangles = len(points_cam), len(triangles)
    points = points_cam.to("cpu", torch.float32).contiguous().numpy()
    corners = triangles.detach().to("cpu", torch.int64).contiguous().numpy()
    shape = (count, camera.height, camera.width)
    pix_to_face = torch.empty(*shape, 1, dtype=torch.int64)
    zbuf = torch.empty(*shape, 1, dtype=torch.float32)
    bary = torch.empty(*shape, 1, 3, dtype=torch.float32)
    outputs = pix_to_face.numpy()[..., 0], zbuf.numpy()[..., 0], bary.numpy()[..., 0, :]
    fx, fy, cx, cy = per_picture(camera, count)

    def draw(n: int) -> int:
        pix, z, b = outputs
        lens = fx[n], fy[n], cx[n], cy[n]
        return rasterize_picture(points[n], corners, *lens, NEAR, n * n_triangles, pix[n], z[n], b[n])

    bad = draw(0)
    if count > 1 and bad < 0:
        with ThreadPoolExecutor(min(count - 1, torch.get_num_threads())) as pool:
            bad = max(pool.map(draw, range(1, count)))
    check_vertex_numbers(bad, corners, points.shape[1])
    return Fragments(pix_to_face.to(device), zbuf.to(device), bary.to(device))


def per_picture(camera: Camera, count: int) -> list[list[float]]:
    """fx, fy, cx, cy, each as ``count`` numbers."""
    cx, cy = camera.principal_point
    fy = camera.focal if camera.focal_y is None else camera.focal_y
    lists = []
    for name, value in (("focal", camera.focal), ("focal_y", fy), ("cx", cx), ("cy", cy)):
        if not isinstance(value, Tensor):
            lists.append([float(value)] * count)
            continue
        numbers = value.detach().reshape(-1).tolist()
        if len(numbers) not in (1, count):
            raise PortraitError(f"camera {name}: expected 1 or {count} values, one a picture, got {len(numbers)}")
        lists.append(numbers * count if len(numbers) == 1 else numbers)
    return lists
