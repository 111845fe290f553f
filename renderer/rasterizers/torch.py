"""The rasteriser in plain torch, on any device: each triangle asks for the pixels about it, the nearest one gets them.

All pairs of a triangle and a pixel centre in its bounding box are looked at together, which suits a GPU and small
triangles: ten thousand of them on a picture of 256 x 256 px make some hundred thousand pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from geometry.camera import Camera
from renderer.fragments import Fragments
from renderer.rasterizers.base import NEAR, Rasterizer, check_triangles, intrinsics

PAIRS = 2**24  # looked at together, about 2 GB; one picture is never divided
BITS = 32  # of a pair's rank, the lower half: the triangle's number; above it the bits of its depth
NOBODY = torch.iinfo(torch.int64).max


def rasterize(points_cam: Tensor, triangles: Tensor, camera: Camera) -> Fragments:
    """See `renderer.rasterizers.rasterize`."""
    check_triangles(triangles, points_cam.shape[1])
    intrinsics(camera, len(points_cam))
    points = points_cam.float()
    count, height, width = len(points), camera.height, camera.width
    fx, fy, cx, cy = camera.values(points, trailing=1)
    x, y, z = points.unbind(-1)
    front = z > NEAR
    depth = torch.where(front, z, torch.ones_like(z))
    corners = torch.stack([fx * x / depth + cx, fy * y / depth + cy, depth], -1)[:, triangles]  # (N, T, 3, 3)
    first, size = _boxes(corners, height, width)
    size = size * front[:, triangles].all(-1, keepdim=True)
    rank = torch.full((count, height * width), NOBODY, device=points.device)
    for part in _parts(size.prod(-1).sum(1)):
        _compete(rank[part], corners[part], first[part], size[part], width)
    index = (rank != NOBODY).view(-1).nonzero().flatten()
    picture, pixel = index // (height * width), index % (height * width)
    triangle = rank.view(-1)[index] & (2**BITS - 1)
    won = corners[picture, triangle]
    inside, depth = _at(won, pixel % width, pixel // width)
    new = lambda dtype, *more: torch.full((len(rank.view(-1)), *more), -1, dtype=dtype, device=points.device)  # noqa: E731
    faces, zbuf, bary = new(torch.int64), new(torch.float32), new(torch.float32, 3)
    faces[index], zbuf[index] = picture * len(triangles) + triangle, depth
    bary[index] = inside / won[..., 2] * depth[:, None]
    shape = count, height, width, 1
    return Fragments(faces.view(shape), zbuf.view(shape), bary.view(*shape, 3))


def _boxes(corners: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First pixel (N, T, 2), column and row, and number of pixels either way (N, T, 2) of (N, T, 3, 3) corners."""
    end = corners.new_tensor([width, height])
    low, high = corners[..., :2].amin(2), corners[..., :2].amax(2)
    first = torch.minimum((low - 0.5).ceil().clamp_min(0), end)
    beyond = torch.minimum((high - 0.5).floor() + 1, end)
    return first.long(), (beyond - first).clamp_min(0).nan_to_num(0).long()


def _parts(pairs: Tensor) -> Iterator[slice]:
    """Slices of the pictures with about `PAIRS` pairs each, of the pairs a picture has (N,)."""
    start = total = 0
    for n, some in enumerate(pairs.tolist()):
        if total and total + some > PAIRS:
            yield slice(start, n)
            start, total = n, 0
        total += some
    yield slice(start, len(pairs))


def _compete(rank: Tensor, corners: Tensor, first: Tensor, size: Tensor, width: int) -> None:
    """Lowers the rank (N, H W) of each pixel to that of its nearest triangle."""
    pixels, triangles = rank.shape[1], corners.shape[1]
    size, each = size.flatten(0, 1), size.prod(-1).flatten()
    owner = torch.repeat_interleave(torch.arange(len(each), device=rank.device), each)
    place = torch.arange(len(owner), device=rank.device) - (each.cumsum(0) - each)[owner]
    columns = size[owner, 0]
    across, down = first.flatten(0, 1)[owner].unbind(-1)
    across, down = across + place % columns, down + place // columns
    inside, depth = _at(corners.flatten(0, 1)[owner], across, down)
    hit = (inside >= 0).all(-1).nonzero().flatten()
    owner, depth = owner[hit], depth[hit]
    target = owner // triangles * pixels + down[hit] * width + across[hit]
    bits = depth.view(torch.int32).long() << BITS  # of positive numbers in their order
    rank.view(-1).scatter_reduce_(0, target, bits | owner % triangles, "amin")


def _at(corners: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentrics on the screen (P, 3), none of them negative inside, and depth (P,) at the centres of pixels."""
    centre = torch.stack([column, row], -1) + 0.5
    a, b, c = (corners[:, k, :2] - centre for k in range(3))
    cross = lambda p, q: p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]  # noqa: E731
    areas = torch.stack([cross(b, c), cross(c, a), cross(a, b)], -1)
    weights = areas / areas.sum(-1, keepdim=True)  # NaN, and so not inside, where a triangle is seen edge on
    return weights, 1 / (weights / corners[..., 2]).sum(-1)


RASTERIZER = Rasterizer("torch", rasterize)
