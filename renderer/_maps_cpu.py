"""The maps by compiled kernels: no gradients, CPU tensors, a thread a picture."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from . import _cpu, _cpu_maps
from .camera import Camera
from .color import linear_to_srgb
from .lighting import C0, C1, C2, C3, C4
from .rasterizer import check_vertex_numbers, per_picture
from .scene import CHANNELS, Scene

BASIS_CONSTANTS = torch.tensor([C0, C1, C1, C1, C2, C2, C3, C2, C4])[:, None]


@lru_cache(maxsize=1)
def _srgb_table() -> np.ndarray:
    """sRGB at the squares of 4096 even steps: linear interpolation between them is exact to 1e-6."""
    steps = torch.linspace(0, 1, 4096, dtype=torch.float64)
    return linear_to_srgb(steps * steps).float().numpy()


def draw(scene: Scene, camera: Camera, maps: Sequence[str], supersample: int) -> dict[str, Tensor]:
    """The maps (n, H, W, C) of a scene; see ``renderer.render``."""
    count = len(scene.points)
    points = scene.points.float().contiguous().numpy()
    triangles = scene.triangles.contiguous().numpy()
    albedo = scene.albedo.float().contiguous().numpy() if "diffuse" in maps else None
    light = (scene.illumination.float() * BASIS_CONSTANTS).contiguous().numpy()
    large = camera.resized(camera.width * supersample, camera.height * supersample)
    fx, fy, cx, cy = per_picture(large, count)
    result = {name: torch.empty(count, camera.height, camera.width, CHANNELS[name]) for name in maps}
    pixels = large.height * large.width
    eyes = _EyeArrays(scene) if "eyes" in maps else None
    correspondence = scene.correspondence.float()[None].contiguous().numpy() if "correspondence" in maps else None

    def draw_one(n: int) -> int:
        faces = np.empty((large.height, large.width), np.int64)
        zbuf = np.empty((large.height, large.width), np.float32)
        bary = np.empty((large.height, large.width, 3), np.float32)
        bad = _cpu.rasterize_picture(points[n], triangles, fx[n], fy[n], cx[n], cy[n], 0, faces, zbuf, bary)
        if bad >= 0:
            return bad
        flat = faces.reshape(pixels), bary.reshape(pixels, 3)
        normals = np.empty_like(points[n])
        if "diffuse" in maps or "normals" in maps:
            _cpu_maps.vertex_normals(points[n], triangles, normals)
        for name in maps:
            small = result[name][n].numpy()
            out = small if supersample == 1 else np.empty((large.height, large.width, CHANNELS[name]), np.float32)
            rows = out.reshape(pixels, CHANNELS[name])
            if name == "diffuse":
                own = albedo[n if len(albedo) > 1 else 0]
                lit = light[n if len(light) > 1 else 0]
                _cpu_maps.shade_pixels(*flat, triangles, normals, own, lit, _srgb_table(), rows)
            elif name == "correspondence":
                _cpu.interpolate_pixels(*flat, triangles, correspondence, rows)
            elif name == "normals":
                _cpu_maps.normal_pixels(*flat, triangles, normals, rows)
            elif name == "eyes":
                _cpu_maps.eye_pixels(*flat, zbuf.reshape(pixels), triangles, *eyes.arrays, eyes.radius * fx[n], rows)
            elif name == "mask":
                np.greater_equal(faces[..., None], 0, out=out)
            elif name == "depth":
                np.maximum(zbuf[..., None], 0, out=out)
            if supersample > 1:
                _cpu_maps.average_blocks(out, supersample, small)
                if name == "depth":
                    small /= np.maximum(_share_covered(faces, supersample), 0.5 / supersample**2)
        return -1

    bad = draw_one(0)
    if count > 1 and bad < 0:
        with ThreadPoolExecutor(min(count - 1, torch.get_num_threads())) as pool:
            bad = max(pool.map(draw_one, range(1, count)))
    check_vertex_numbers(bad, triangles, points.shape[1])
    return result


class _EyeArrays:
    """Numpy views of an ``EyeShape``."""

    def __init__(self, scene: Scene):
        shape = scene.eyes
        self.arrays = shape.triangles.numpy(), shape.directions.float().contiguous().numpy(), float(shape.iris_angle)
        self.radius = float(shape.radius)


def _share_covered(faces: np.ndarray, factor: int) -> np.ndarray:
    height, width = faces.shape[0] // factor, faces.shape[1] // factor
    blocks = (faces >= 0).reshape(height, factor, width, factor)
    return blocks.mean((1, 3), dtype=np.float32)[..., None]
