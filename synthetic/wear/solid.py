"""A mesh that a head wears, and a head drawn with what it wears, each hiding what is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from geometry.camera import FLIP
from geometry.mesh import vertex_normals
from renderer import Camera, interpolate, linear_to_srgb, rasterize, render, sh_basis, to_camera


@dataclass(frozen=True)
class Solid:
    """A mesh in the model frame that moves with the head and doesn't change its form."""

    points: Tensor  # (V, 3) mm
    triangles: Tensor  # (T, 3) int64; both sides are seen
    albedo: Tensor  # (V, 3) linear RGB

    @classmethod
    def grid(cls, points: Tensor, albedo: Tensor) -> Solid:
        """Of rows and columns of points (R, C, 3), and their colours; neighbours are joined."""
        rows, columns = points.shape[:2]
        index = torch.arange(rows * columns).reshape(rows, columns)
        a, b, c, d = (n.reshape(-1) for n in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
        triangles = torch.cat([torch.stack([a, c, b], -1), torch.stack([b, c, d], -1)])
        return cls(points.reshape(-1, 3).float(), triangles, albedo.expand_as(points).reshape(-1, 3).float())

    @classmethod
    def joined(cls, solids: Sequence[Solid]) -> Solid:
        """Several as one."""
        starts = torch.tensor([0, *(len(s.points) for s in solids)]).cumsum(0)
        return cls(
            torch.cat([s.points for s in solids]),
            torch.cat([s.triangles + start for s, start in zip(solids, starts)]),
            torch.cat([s.albedo for s in solids]),
        )


def draw_with(model, parameters, camera: Camera, texture: Tensor, worn: Solid | None) -> tuple[Tensor, Tensor]:
    """A clip's head with what it wears: (F, H, W, 3) sRGB times alpha, and alpha (F, H, W, 1).

    texture: as for `renderer.render`. Drawn twice as large and averaged.
    """
    large = camera.resized(2 * camera.width, 2 * camera.height)
    maps = render(model, parameters, large, maps=("textured", "mask", "depth"), texture=texture)
    colour, alpha = maps["textured"], maps["mask"]
    if worn is not None:
        points = to_camera(worn.points, parameters.rotation, parameters.translation)
        fragments = rasterize(points, worn.triangles, large)
        normals = vertex_normals(points, worn.triangles) * points.new_tensor(FLIP)
        normals = normals * torch.where(normals[..., 2:] < 0, -1.0, 1.0)  # of the side that is seen
        shaded = worn.albedo * torch.einsum("fvk,fkc->fvc", sh_basis(F.normalize(normals, dim=-1)),
                                            parameters.illumination.expand(len(points), 9, 3))  # fmt: skip
        seen = linear_to_srgb(interpolate(fragments, shaded.clamp(0, 1), worn.triangles).clamp(0, 1))
        nearer = fragments.mask[..., None] & ((alpha < 0.5) | (fragments.zbuf < maps["depth"]))
        colour, alpha = torch.where(nearer, seen, colour), torch.where(nearer, 1.0, alpha)
    return tuple(F.avg_pool2d(p.movedim(-1, 1), 2).movedim(1, -1) for p in (colour, alpha))
