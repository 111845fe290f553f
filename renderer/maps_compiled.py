"""The maps by compiled kernels: no gradients, CPU tensors, a thread a picture."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from geometry.camera import Camera
from geometry.color import linear_to_srgb
from geometry.spherical_harmonics import BASIS_CONSTANTS
from renderer import maps_kernels
from renderer.eyes import EyeShape
from renderer.rasterizers.base import NEAR, intrinsics, missing_vertex
from renderer.rasterizers.numba_kernels import interpolate_pixels, rasterize_picture
from renderer.scene import CHANNELS, DrawnScene


@lru_cache(maxsize=1)
def _srgb_table() -> np.ndarray:
    """sRGB at the squares of 4096 even steps: linear interpolation between them is exact to 1e-6."""
    steps = torch.linspace(0, 1, 4096, dtype=torch.float64)
    return linear_to_srgb(steps * steps).float().numpy()


def draw(scene: DrawnScene, camera: Camera, maps: Sequence[str], supersample: int) -> dict[str, Tensor]:
    """The maps (n, H, W, C) of a scene; see ``renderer.render``."""
    count, factor = len(scene.points), supersample
    points = scene.points.float().contiguous().numpy()
    triangles = scene.triangles.contiguous().numpy()
    albedo = scene.albedo.float().contiguous().numpy() if "diffuse" in maps else None
    texels = _texel_arrays(scene) if "textured" in maps else ()
    light = (scene.illumination.float() * BASIS_CONSTANTS).contiguous().numpy()
    cameras = intrinsics(camera, count)
    result = {name: np.zeros((count, camera.height, camera.width, CHANNELS[name]), np.float32) for name in maps}
    eyes = _EyeArrays(scene.eyes) if "eyes" in maps and scene.eyes is not None else None
    correspondence = scene.correspondence.float()[None].contiguous().numpy() if "correspondence" in maps else None

    def draw_one(n: int) -> int:
        window = _window(points[n], cameras[n], camera)
        height, width = window[0].stop - window[0].start, window[1].stop - window[1].start
        fx, fy, cx, cy = (factor * v for v in cameras[n])
        shifted = fx, fy, cx - factor * window[1].start, cy - factor * window[0].start
        size = height * factor, width * factor
        faces, zbuf = np.empty(size, np.int64), np.empty(size, np.float32)
        bary = np.empty((*size, 3), np.float32)
        bad = rasterize_picture(points[n], triangles, *shifted, NEAR, 0, faces, zbuf, bary)
        if bad >= 0:
            return bad
        flat = faces.reshape(-1), bary.reshape(-1, 3), triangles
        normals = np.empty_like(points[n])
        if {"diffuse", "textured", "normals"} & set(maps):
            maps_kernels.vertex_normals(points[n], triangles, normals)
        for name in maps:
            out = np.zeros((*size, CHANNELS[name]), np.float32)
            rows = out.reshape(-1, CHANNELS[name])
            if name == "diffuse":
                interpolate_pixels(*flat, albedo[min(n, len(albedo) - 1)][None], rows)
            elif name == "textured":
                maps_kernels.texture_pixels(*flat[:2], *texels, rows)
            if name in ("diffuse", "textured"):
                maps_kernels.shade_pixels(*flat, normals, light[min(n, len(light) - 1)], _srgb_table(), rows)
            elif name == "correspondence":
                interpolate_pixels(*flat, correspondence, rows)
            elif name == "normals":
                maps_kernels.normal_pixels(*flat, normals, rows)
            elif name == "eyes" and eyes is not None:
                maps_kernels.eye_pixels(*flat, zbuf.reshape(-1), *eyes.arrays, eyes.radius * fx, rows)
            elif name == "mask":
                np.greater_equal(faces[..., None], 0, out=out)
            elif name == "depth":
                np.maximum(zbuf[..., None], 0, out=out)
            result[name][n][window] = _shrink(name, out, faces, factor)
        return -1

    bad = draw_one(0)
    if count > 1 and bad < 0:
        with ThreadPoolExecutor(min(count - 1, torch.get_num_threads())) as pool:
            bad = max(pool.map(draw_one, range(1, count)))
    if bad >= 0:
        raise missing_vertex(bad, triangles, points.shape[1])
    return {name: torch.from_numpy(pictures) for name, pictures in result.items()}


def _texel_arrays(scene: DrawnScene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The atlas' triangles (T, 3), column and row of each of their corners (W, 2) in the texture, and that."""
    height, width = scene.texture.shape[:2]
    u, v = scene.atlas.coordinates.float().unbind(-1)
    places = torch.stack([u * width - 0.5, (1 - v) * height - 0.5], -1)
    arrays = scene.atlas.triangles, places, scene.texture.float()
    return tuple(a.contiguous().numpy() for a in arrays)


def _window(points: np.ndarray, own: tuple[float, float, float, float], camera: Camera) -> tuple[slice, slice]:
    """Rows and columns of the picture that the points (V, 3) may cover: the rest needn't be looked at."""
    front = points[points[:, 2] > NEAR]
    if not len(front):
        return slice(0, 0), slice(0, 0)
    bounds = []
    for axis, focal, center, size in ((1, own[1], own[3], camera.height), (0, own[0], own[2], camera.width)):
        pixels = focal * front[:, axis].astype(np.float64) / front[:, 2] + center
        low, high = np.nan_to_num([np.nanmin(pixels), np.nanmax(pixels)], nan=0.0)
        start = int(np.clip(np.floor(low) - 1, 0, size))
        bounds.append(slice(start, int(np.clip(np.ceil(high) + 1, start, size))))
    return bounds[0], bounds[1]


def _shrink(name: str, picture: np.ndarray, faces: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of factor x factor pixels; depth over the covered ones alone."""
    if factor == 1:
        return picture
    height, width = faces.shape[0] // factor, faces.shape[1] // factor
    small = np.empty((height, width, picture.shape[-1]), np.float32)
    maps_kernels.average_blocks(picture, factor, small)
    if name == "depth":
        covered = (faces >= 0).reshape(height, factor, width, factor).mean((1, 3), dtype=np.float32)
        small /= np.maximum(covered[..., None], 0.5 / factor**2)
    return small


class _EyeArrays:
    """Numpy views of an ``EyeShape``."""

    def __init__(self, shape: EyeShape) -> None:
        directions = shape.directions.float().contiguous().numpy()
        self.arrays = shape.triangles.numpy(), directions, float(shape.iris_angle)
        self.radius = float(shape.radius)
