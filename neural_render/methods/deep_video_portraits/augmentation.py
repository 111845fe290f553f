"""Small random shifts and scalings of training pictures, the same for a condition and its image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def moved(image: Tensor, theta: Tensor, *, outside: float | None = None) -> Tensor:
    """Bilinear samples of (N, C, H, W) under affine maps (N, 2, 3) from output to input, where -1 to 1 is the picture.

    outside: the value beyond the picture; None repeats its border.
    """
    x, fill = image.float(), 0.0 if outside is None else outside  # half precision can't name a pixel's place
    grid = F.affine_grid(theta.float(), x.shape, align_corners=False)
    padding = "border" if outside is None else "zeros"
    return (F.grid_sample(x - fill, grid, padding_mode=padding, align_corners=False) + fill).to(image.dtype)


def jitter(x: Tensor, y: Tensor, *, shift: float, scale: float) -> tuple[Tensor, Tensor]:
    """A condition (N, C, H, W) and its image (N, 3, H, W), both in [-1, 1], moved alike, each pair on its own.

    shift: at most that share of the picture's side, either way along each axis; scale: at most so much larger or
    smaller. Uniform, from torch's generator. Colours stay; nothing is mirrored, as the maps tell left from right.
    Beyond its border a condition is black, as maps without a head are, and an image repeats its border.
    """
    n = len(x)
    u = 2 * torch.rand(n, 3) - 1
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / (1 + scale * u[:, 0])
    theta[:, :, 2] = 2 * shift * u[:, 1:]
    theta = theta.to(x.device)
    return moved(x, theta, outside=-1.0), moved(y, theta)
