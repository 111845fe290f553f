"""The scan-line rasteriser of the CPU, compiled by Numba: a thread a picture. Tensors of other devices are copied."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from geometry.camera import Camera
from renderer.fragments import Fragments
from renderer.rasterizers.base import NEAR, Rasterizer, intrinsics, missing_vertex
from renderer.rasterizers.numba_kernels import rasterize_picture


def rasterize(points_cam: Tensor, triangles: Tensor, camera: Camera) -> Fragments:
    """See `renderer.rasterizers.rasterize`."""
    device = points_cam.device
    count, n_triangles = len(points_cam), len(triangles)
    points = points_cam.to("cpu", torch.float32).contiguous().numpy()
    corners = triangles.detach().to("cpu", torch.int64).contiguous().numpy()
    shape = (count, camera.height, camera.width)
    pix_to_face = torch.empty(*shape, 1, dtype=torch.int64)
    zbuf = torch.empty(*shape, 1, dtype=torch.float32)
    bary = torch.empty(*shape, 1, 3, dtype=torch.float32)
    pix, z, b = pix_to_face.numpy()[..., 0], zbuf.numpy()[..., 0], bary.numpy()[..., 0, :]
    cameras = intrinsics(camera, count)

    def draw(n: int) -> int:
        return rasterize_picture(points[n], corners, *cameras[n], NEAR, n * n_triangles, pix[n], z[n], b[n])

    bad, threads = draw(0), min(count - 1, torch.get_num_threads())
    if bad < 0 and threads == 1:  # a thread would take longer to start than a small picture to draw
        bad = max(map(draw, range(1, count)))
    elif bad < 0 and threads:
        with ThreadPoolExecutor(threads) as pool:
            bad = max(pool.map(draw, range(1, count)))
    if bad >= 0:
        raise missing_vertex(bad, corners, points.shape[1])
    return Fragments(pix_to_face.to(device), zbuf.to(device), bary.to(device))


RASTERIZER = Rasterizer("numba", rasterize)
