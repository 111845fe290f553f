"""Faces brought to one place, size and turn by their landmarks: what the critic looks at.

A face is a third of a crop's area and lies elsewhere in each; brows and lids are a pixel or two wide there, and they
would have to be found first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FILLED = 0.85  # of half a patch's side, as far as the mean face's points reach


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


def cut(pictures: Tensor, found: Tensor) -> Tensor:
    """Patches of crops (N, 3, S, S), as large as these; what lies beyond them is as at their edges."""
    grid = F.affine_grid(found, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures.float(), grid, padding_mode="border", align_corners=False)
