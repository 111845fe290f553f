"""The maps in plain torch: differentiable, on any device, and the oracle of the compiled ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geometry.camera import FLIP, Camera
from geometry.color import linear_to_srgb
from geometry.mesh import vertex_normals
from geometry.spherical_harmonics import sh_basis
from renderer.eyes import EyeShape, eye_colors
from renderer.fragments import Covered
from renderer.interpolation import barycentrics, interpolate_covered
from renderer.rasterizers import rasterize
from renderer.scene import DrawnScene


def draw(
    scene: DrawnScene, camera: Camera, maps: Sequence[str], supersample: int, rasterizer: str | None
) -> dict[str, Tensor]:
    """The maps (n, H, W, C) of a scene; see ``renderer.render``."""
    large = camera.resized(camera.width * supersample, camera.height * supersample)
    pictures = _draw(scene, large, maps, rasterizer)
    return {name: _shrink(name, pictures, supersample) for name in maps}


def _draw(scene: DrawnScene, camera: Camera, maps: Sequence[str], rasterizer: str | None) -> dict[str, Tensor]:
    points, triangles = scene.points, scene.triangles
    fragments = rasterize(points, triangles, camera, rasterizer)
    covered = fragments.covered()
    bary = None
    if scene.wants_gradient(camera):
        bary = barycentrics(covered, triangles, points, camera)

    def at_pixels(attributes: Tensor) -> Tensor:
        return interpolate_covered(covered, attributes, triangles, bary)

    result = {"mask": fragments.mask[..., None].to(points.dtype)}
    if {"diffuse", "textured", "normals"} & set(maps):
        normals = at_pixels(vertex_normals(points, triangles) * points.new_tensor(FLIP))
        normals = torch.nn.functional.normalize(normals, dim=-1)
        if "normals" in maps:
            result["normals"] = covered.scatter((normals + 1) / 2)
        light = _light(covered, normals, scene.illumination, len(triangles))
        lit = lambda albedo: covered.scatter(linear_to_srgb((albedo * light).clamp(0, 1)))  # noqa: E731
        if "diffuse" in maps:
            result["diffuse"] = lit(at_pixels(scene.albedo))
        if "textured" in maps:
            uv = interpolate_covered(covered, scene.atlas.coordinates, scene.atlas.triangles, bary)
            result["textured"] = lit(_texels(scene.texture, uv))
    if "correspondence" in maps:
        result["correspondence"] = covered.scatter(at_pixels(scene.correspondence))
    if "depth" in maps:
        result["depth"] = covered.scatter(at_pixels(points[..., 2:]))
    if "eyes" in maps:
        result["eyes"] = _eye_map(scene.eyes, covered, bary, scene, camera)
    return result


def _texels(texture: Tensor, uv: Tensor) -> Tensor:
    """(P, C) of a texture (S, R, C) at (P, 2), v = 1 at its row 0; its border is repeated beyond."""
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, None].to(texture)
    source = texture.movedim(-1, 0)[None]
    found = torch.nn.functional.grid_sample(source, grid, padding_mode="border", align_corners=False)
    return found[0, :, 0].T


def _light(covered: Covered, normals: Tensor, illumination: Tensor, n_triangles: int) -> Tensor:
    """Irradiance (P, 3) at the covered pixels' normals (P, 3); illumination (n, 9, 3)."""
    basis = sh_basis(normals)
    if len(illumination) == 1:
        return basis @ illumination[0]
    picture = covered.faces.div(n_triangles, rounding_mode="floor")
    counts = torch.bincount(picture, minlength=len(illumination)).tolist()
    return torch.cat([b @ light for b, light in zip(basis.split(counts), illumination)])


def _eye_map(
    shape: EyeShape | None, covered: Covered, bary: Tensor | None, scene: DrawnScene, camera: Camera
) -> Tensor:
    if shape is None:
        return covered.scatter(scene.points.new_zeros(len(covered.index), 3))
    triangles = scene.triangles
    picture = covered.faces.div(len(triangles), rounding_mode="floor")
    chosen = torch.nonzero(shape.triangles[covered.faces - picture * len(triangles)]).squeeze(1)
    part = Covered(covered.shape, covered.index[chosen], covered.faces[chosen], covered.bary[chosen])
    part_bary = None if bary is None else bary[chosen]
    directions = interpolate_covered(part, shape.directions, triangles, part_bary)
    depth = interpolate_covered(part, scene.points[..., 2:], triangles, part_bary)[:, 0]
    focal = camera.values(scene.points)[0]
    if focal.dim() and len(focal) > 1:
        focal = focal[picture[chosen]]
    return part.scatter(eye_colors(directions, depth, focal, shape))


def _shrink(name: str, pictures: dict[str, Tensor], factor: int) -> Tensor:
    """Averages blocks of factor x factor pixels; depth over the covered ones alone."""
    if factor == 1:
        return pictures[name]
    average = lambda p: torch.nn.functional.avg_pool2d(p.movedim(-1, 1), factor).movedim(1, -1)  # noqa: E731
    small = average(pictures[name])
    return small / average(pictures["mask"]).clamp_min(0.5 / factor**2) if name == "depth" else small
