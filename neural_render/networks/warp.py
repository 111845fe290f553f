"""Warping pictures and features by a flow on top of the identity grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_grid(height: int, width: int, *, device=None, dtype: torch.dtype = torch.float32) -> Tensor:
    """(H, W, 2): x and y of each pixel's centre, where the picture reaches from -1 to 1 from edge to edge.

    That is ``align_corners=False``: the first of n pixels lies at -1 + 1 / n, as in the project's cameras.
    """
    x, y = ((torch.arange(n, device=device, dtype=dtype) + 0.5) * 2 / n - 1 for n in (width, height))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def warp(image: Tensor, flow: Tensor, *, padding: str = "border") -> Tensor:
    """Bilinear samples of an image (N, C, H, W) at identity + flow: (N, C, h, w).

    flow: (N, h, w, 2), x to the right and y down; 2 is the whole width or height, so that a flow serves every
    resolution. Zero gives the image itself (where h, w are H, W). padding: what is beyond it, by grid_sample's names.
    """
    grid = identity_grid(*flow.shape[1:3], device=flow.device, dtype=flow.dtype)
    return F.grid_sample(image, grid + flow, mode="bilinear", padding_mode=padding, align_corners=False)
