"""Textures over the model's atlas: drawn into it, lit in it, and seen by a camera."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from foundation.errors import PortraitError
from geometry.camera import FLIP, Camera
from geometry.color import linear_to_srgb
from geometry.mesh import vertex_normals
from geometry.spherical_harmonics import sh_basis
from renderer.interpolation import interpolate
from renderer.rasterizers import rasterize
from renderer.scene import behind_skin, surface_points
from renderer.unwrapping import uv_fragments


def atlas_values(model, values: Tensor, size: int) -> Tensor:
    """Values of the vertices (V, C) drawn into the atlas: (size, size, C), zero outside it. Row 0 is v = 1."""
    return interpolate(uv_fragments(model, (size, size)), values, model.triangles)[0]


def atlas_light(model, parameters, size: int) -> Tensor:
    """(size, size, 3) linear RGB: the light that one fitted face (no leading dimensions) has at each texel.

    A texel's radiance is its albedo times this. Outside the atlas it is that of no normal.
    """
    points = surface_points(model, parameters)
    normals = vertex_normals(points, model.triangles) * points.new_tensor(FLIP)
    normals = F.normalize(atlas_values(model, normals, size), dim=-1)
    return sh_basis(normals) @ parameters.illumination


def main_island(model, size: int) -> Tensor:
    """(size, size) bool: the atlas' largest connected part, which is the skin of face, scalp and neck.

    Eyeballs, teeth, tongue and the inside of the mouth are islands of their own.
    """
    from scipy.ndimage import label

    parts, _ = label(uv_fragments(model, (size, size)).mask[0].cpu().numpy())
    largest = np.bincount(parts.ravel())[1:].argmax() + 1
    return torch.from_numpy(parts == largest).to(model.mean.device)


def extend(texture: Tensor, known: Tensor) -> Tensor:
    """(H, W, C): texels that aren't ``known`` (H, W) bool repeat their nearest known one, so that no border shows."""
    from scipy.ndimage import distance_transform_edt

    if not known.any():
        raise PortraitError("texture: expected at least one known texel, got none")
    nearest = distance_transform_edt(~known.cpu().numpy(), return_distances=False, return_indices=True)
    rows, columns = torch.from_numpy(nearest).long().to(texture.device)
    return texture[rows, columns]


def render_textured(
    model,
    parameters,
    camera: Camera,
    texture: Tensor,
    *,
    lit: bool = False,
    supersample: int = 2,
) -> tuple[Tensor, Tensor]:
    """Draws N pictures of the face with a texture on it.

    Args:
        parameters: FaceParameters, leading dimensions () or (N,). Its ``focal`` isn't used: the camera's is.
        texture: (H_uv, W_uv, 3) linear RGB, row 0 at v = 1, extended beyond the atlas' borders (``extend``).
        lit: the texture is radiance already; else it is albedo, and the parameters' light falls on it.
        supersample: draw that many times larger and average the light.

    Returns:
        pictures (N, H, W, 3) sRGB in [0, 1], on the outline the face's own colour, and alpha (N, H, W, 1) in [0, 1].
    """
    model.require("atlas", "drawing a texture")
    points = behind_skin(model, surface_points(model, parameters), parameters.expression)
    points = points if points.dim() == 3 else points[None]
    large = camera.resized(camera.width * supersample, camera.height * supersample)
    fragments = rasterize(points, model.triangles, large)
    uv = interpolate(fragments, model.atlas.coordinates, model.atlas.triangles)
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)
    source = texture.movedim(-1, 0)[None].expand(len(points), -1, -1, -1)
    radiance = F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)
    radiance = radiance.movedim(1, -1)
    if not lit:
        normals = vertex_normals(points, model.triangles) * points.new_tensor(FLIP)
        normals = F.normalize(interpolate(fragments, normals, model.triangles), dim=-1)
        light = parameters.illumination.expand(len(points), 9, 3)
        radiance = radiance * torch.einsum("nhwk,nkc->nhwc", sh_basis(normals), light)
    alpha = fragments.mask[..., None].to(radiance)
    small, mask = _average(radiance.clamp(0, 1) * alpha, supersample), _average(alpha, supersample)
    return linear_to_srgb(small / mask.clamp_min(1e-6)).clamp(0, 1), mask


def _average(pictures: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(pictures.movedim(-1, 1), factor).movedim(1, -1) if factor > 1 else pictures
