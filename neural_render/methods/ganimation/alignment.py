"""Faces brought to one place, size and turn by their landmarks, and back: what both networks look at.

A face is a third of a crop's area and lies elsewhere in each; brows and lids are a pixel or two wide there, and they
would have to be found first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FILLED = 0.85  # of half a patch's side, as far as the mean face's points reach
RIM = 0.08  # of half a patch's side, within which all of the picture is kept more and more


def mean_face(points: Tensor) -> Tensor:
    """(L, 2): the mean of faces' points (N, L, 2) without place and size, in a patch, which is -1 to 1."""
    centred = points - points.mean(1, keepdim=True)
    mean = (centred / centred.norm(dim=(1, 2), keepdim=True)).mean(0)
    return mean * (FILLED / mean.abs().max())


def places(face: Tensor, points: Tensor) -> Tensor:
    """(N, 2, 3): where patches lie in crops: affine maps that take the mean face (L, 2) nearest to points (N, L, 2).

    Affine, so that a turned face is as wide as one that looks into the camera.
    """
    known = torch.cat([face, face.new_ones(len(face), 1)], 1)
    return (torch.linalg.pinv(known) @ points).mT


def mirrored(found: Tensor) -> Tensor:
    """Places (N, 2, 3) of mirrored crops whose patches are mirrored, too."""
    return found * found.new_tensor([[1, -1, -1], [-1, 1, 1]])


def composed(outer: Tensor, inner: Tensor) -> Tensor:
    """(N, 2, 3): first the inner map, then the outer."""
    linear = outer[..., :2] @ inner
    return torch.cat([linear[..., :2], linear[..., 2:] + outer[..., 2:]], -1)


def inverse(found: Tensor) -> Tensor:
    """(N, 2, 3): the maps that undo these."""
    back = torch.linalg.inv(found[..., :2])
    return torch.cat([back, -back @ found[..., 2:]], -1)


def cut(pictures: Tensor, found: Tensor) -> Tensor:
    """Patches of crops (N, 3, S, S), as large as these; what lies beyond them is as at their edges."""
    grid = F.affine_grid(found, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures.float(), grid, padding_mode="border", align_corners=False)


def put_back(patches: Tensor, found: Tensor, size: int) -> Tensor:
    """What was made of patches (N, C, S, S), where they lie in crops of any size; 0 beyond them."""
    grid = F.affine_grid(inverse(found), [len(patches), patches.shape[1], size, size], align_corners=False)
    # grid_sample's bicubic rings at the patch's edge, which is 0 by the rim
    return F.grid_sample(patches.float(), grid, mode="bicubic", padding_mode="zeros", align_corners=False)


def rim(size: int, device: torch.device | str = "cpu") -> Tensor:
    """(size, size): 0 at a patch's edge, 1 from ``RIM`` inwards."""
    at = 1 - (2 * (torch.arange(size, device=device) + 0.5) / size - 1).abs()
    ramp = (at / RIM).clamp(0, 1)
    return ramp[:, None] * ramp
