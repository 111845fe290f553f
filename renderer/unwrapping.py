"""From a picture to the model's UV atlas: which texels the picture shows, and their colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from geometry.camera import Camera, project
from geometry.mesh import vertex_normals
from renderer.interpolation import interpolate_covered
from renderer.rasterizers import rasterize

OVERLAP_DEPTH = 1e-3
"""Depth given to the atlas to order what overlaps; so small that barycentrics change by less than that."""


@dataclass(frozen=True)
class Sight:
    """What counts as seen."""

    grazing: float = 75.0  # degrees between normal and line of sight, beyond which nothing does
    tolerance: float = 2.0  # mm that a texel may lie behind the depth buffer
    beyond: float = 3.0  # mm, the spread of the Gaussian window over which the picture beyond the outline is averaged


USUAL = Sight()


@dataclass(frozen=True)
class View:
    """What one picture shows of the atlas, (H_uv, W_uv, ...); zero or False where it shows nothing."""

    texture: Tensor  # (..., C) float, the picture's own colour space, bilinear
    visible: Tensor  # bool
    cosine: Tensor  # of the angle between normal and line of sight: 1 is seen straight on
    scale: Tensor  # picture pixels a millimetre of the surface, along its shorter side
    margin: Tensor  # px from the head's outline in the picture; inf where no outline is in it
    beyond: Tensor  # (..., C) float, mean of the picture beyond the outline's nearest place


def unwrap_view(
    image: Tensor,
    points_cam: Tensor,
    model,
    camera: Camera,
    size: tuple[int, int] = (512, 512),
    sight: Sight = USUAL,
) -> View:
    """Samples a picture into the UV atlas.

    A texel is visible where its point of the surface lies within the picture, faces the camera by less than
    ``sight.grazing`` degrees between normal and line of sight, and isn't behind another part of the mesh.

    Args:
        image: (H, W, C), uint8 or float in [0, 1], as the camera sees it.
        points_cam: (V, 3) mm, camera frame.
        model: a FaceModel with a UV atlas.
        size: (height, width) of the texture, texels. Row 0 is v = 1.

    Raises:
        PortraitError: the picture isn't of the camera's size, or the model has no UV atlas.
    """
    if image.dim() != 3 or tuple(image.shape[:2]) != (camera.height, camera.width):
        raise PortraitError(
            f"unwrap image: expected shape ({camera.height}, {camera.width}, C) as the camera's, "
            f"got {tuple(image.shape)}; use camera.resized() or resize the image"
        )
    picture = image.to(points_cam.dtype) / 255 if image.dtype == torch.uint8 else image.to(points_cam.dtype)
    picture = picture.to(points_cam.device)
    texels = uv_fragments(model, size).covered()
    points = interpolate_covered(texels, points_cam, model.triangles)
    normals = interpolate_covered(texels, vertex_normals(points_cam, model.triangles), model.triangles)

    pixels = project(points, camera)
    extent = pixels.new_tensor([camera.width, camera.height])
    inside = ((pixels > 0) & (pixels < extent)).all(-1) & (points[:, 2] > 0)
    cosine = -torch.nn.functional.cosine_similarity(normals, points, dim=-1)
    facing = cosine > math.cos(math.radians(sight.grazing))

    zbuf = rasterize(points_cam[None], model.triangles, camera).zbuf[0, ..., 0]
    column = pixels[:, 0].nan_to_num(0).clamp(0, camera.width - 1).long()
    row = pixels[:, 1].nan_to_num(0).clamp(0, camera.height - 1).long()
    seen = zbuf[row, column]
    seen = torch.where(seen < 0, torch.full_like(seen, math.inf), seen)
    # Within the pixel the surface's own slope changes the depth: allow for it.
    slope = (1 / cosine.clamp_min(1e-3).square() - 1).clamp_min(0).sqrt()
    pixel_size = points[:, 2] / camera.values(points)[0]
    visible = inside & facing & (points[:, 2] <= seen + sight.tolerance + slope * pixel_size)

    grid = (2 * pixels / extent - 1).nan_to_num(0)
    colors = torch.nn.functional.grid_sample(
        picture.movedim(-1, 0)[None], grid[None, None], mode="bilinear", padding_mode="border", align_corners=False
    )[0, :, 0].T
    margin, beyond = _outline(zbuf >= 0, picture, row, column, sight.beyond / float(pixel_size[visible].mean()))
    scatter = lambda values: texels.scatter(torch.where(visible[:, None], values, 0.0))[0]  # noqa: E731
    return View(
        texture=scatter(colors),
        visible=scatter(torch.ones_like(cosine)[:, None])[..., 0] > 0.5,
        cosine=scatter(cosine[:, None])[..., 0],
        scale=scatter((cosine / pixel_size)[:, None])[..., 0],
        margin=scatter(margin[:, None])[..., 0],
        beyond=scatter(beyond),
    )


def _outline(head: Tensor, picture: Tensor, row: Tensor, column: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """How far pixels (P,) of the head (H, W) bool are from its outline, and what is beyond it there.

    Returns px to the nearest pixel that isn't the head's (P,), inf where all are, and the picture's mean colour (P, C)
    about that pixel, of what isn't the head's, under a Gaussian of ``sigma`` px.
    """
    nothing = picture.new_full((len(row),), math.inf), picture.new_zeros(len(row), picture.shape[-1])
    inside = head.cpu().numpy()
    reach = math.ceil(3 * sigma) + 1 if math.isfinite(sigma) else 0
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    if not reach or not len(rows):
        return nothing
    top, left = max(rows[0] - reach, 0), max(columns[0] - reach, 0)
    window = slice(top, rows[-1] + reach + 1), slice(left, columns[-1] + reach + 1)
    inside = inside[window]
    outside = ~inside
    if not outside.any():
        return nothing
    distance, label = cv2.distanceTransformWithLabels(
        inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(label.max() + 1, np.int64)
    place[label[outside]] = np.flatnonzero(outside)
    weight = outside.astype(np.float32)[..., None]
    blurred = cv2.GaussianBlur(np.concatenate([picture[window].cpu().numpy() * weight, weight], -1), (0, 0), sigma)
    mean = blurred.reshape(-1, blurred.shape[-1])
    at = (
        (row.cpu().numpy() - top).clip(0, inside.shape[0] - 1),
        (column.cpu().numpy() - left).clip(0, inside.shape[1] - 1),
    )
    colour = mean[place[label[at]]]
    back = lambda array: torch.from_numpy(array).to(picture)  # noqa: E731
    return back(distance[at]), back(colour[:, :-1] / colour[:, -1:].clip(1e-6))


def uv_fragments(model, size: tuple[int, int]):
    """Fragments (1, H_uv, W_uv, ...) of the atlas itself: which triangle, and where in it, each texel is.

    The triangles' numbers are those of ``model.triangles`` as well, so vertex attributes can be interpolated
    into the atlas with them. Where parts of the atlas overlap (the inside of the mouth lies under the lips, as seen
    from the head's axis), the outermost of the mean head wins.
    """
    model.require("atlas", "a texture")
    atlas, (height, width) = model.atlas, size
    radius = model.mean[:, ::2].norm(dim=-1)  # from the upright axis through the head
    outside = torch.zeros(len(atlas.coordinates), dtype=radius.dtype, device=radius.device)
    outside[atlas.triangles.reshape(-1)] = (radius / radius.max())[model.triangles.reshape(-1)]
    depth = 1 + OVERLAP_DEPTH * (1 - outside)
    u, v = atlas.coordinates.unbind(-1)
    flat = torch.stack([u * width * depth, (1 - v) * height * depth, depth], dim=-1)
    camera = Camera(focal=1.0, width=width, height=height, cx=0.0, cy=0.0)
    return rasterize(flat[None], atlas.triangles, camera)
