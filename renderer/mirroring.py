"""A texture's other side: where on a model's atlas the mirror image of each texel is.

Enters a model with an atlas of any kind, leaves a function of textures. The default's is symmetric about u = 0.5, and
its textures are simply turned over; another's texels are found on the mean face, mirrored there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from facemodel.base import FaceModel
from renderer.texturing import atlas_values
from renderer.unwrapping import uv_fragments

REACH = 4.0  # mm from a mirrored point to the surface: further away there is no other side
AROUND = 4  # texels that one is blended from


def turned_over(texture: Tensor) -> Tensor:
    """The other side of a texture (S, S, ...) of an atlas that is symmetric about u = 0.5."""
    return texture.flip(1)


@lru_cache(maxsize=2)
def mirroring(model: FaceModel, size: int) -> Callable[[Tensor], Tensor]:
    """What gives a texture's (S, S, ...) other side; zero where the face has none."""
    model.require("atlas", "a texture's mirrored side")
    if model.atlas.symmetric:
        return turned_over
    device = model.mean.device
    inside = uv_fragments(model, (size, size)).mask[0].flatten().nonzero().ravel().cpu()
    points = atlas_values(model, model.mean, size).flatten(0, 1).cpu()[inside].double().numpy()
    middle = 0.0 if model.eyes is None else float(model.eyes.center_mean[:, 0].mean())
    distance, near = cKDTree(points).query((points - (middle, 0, 0)) * (-1, 1, 1) + (middle, 0, 0), k=AROUND)
    share = torch.from_numpy(1 / (distance + 1e-3)).float()
    share = share / share.sum(1, keepdim=True) * torch.from_numpy(distance[:, :1] < REACH)
    at, inside, share = inside[torch.from_numpy(near)].to(device), inside.to(device), share.to(device)

    def mirrored(texture: Tensor) -> Tensor:
        flat = texture.reshape(size * size, -1)
        out = torch.zeros_like(flat)
        out[inside] = (flat[at] * share[..., None].to(flat)).sum(1)
        return out.view_as(texture)

    return mirrored
