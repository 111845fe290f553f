"""What is done to the picture that a pose is read from, so that the pose's code can't say who it is.

Burkov et al., CVPR 2020, Sec. 3.3: another width and height, other colours, blur, noise; and a shift of the whole
sample, which the generator has to follow.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = 0.2  # either side's factor is 1 up to so much more or less
SHIFT = 0.05  # of the side
BRIGHTNESS = 0.5  # factors are within 1 / (1 + that) and 1 + that
CONTRAST = 0.4
TINT = 0.25  # of one channel against the others
NOISE = 0.06  # largest standard deviation, of a range of 2


def _some(count: int, share: float, like: Tensor) -> Tensor:
    """(N, 1, 1, 1): 1 for a share of the samples by chance, else 0."""
    return (torch.rand(count, 1, 1, 1, device=like.device) < share).float()


def _between(count: int, channels: int, like: Tensor) -> Tensor:
    """(N, channels, 1, 1) in [-1, 1]."""
    return 2 * torch.rand(count, channels, 1, 1, device=like.device) - 1


def placed(pictures: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Pictures (N, C, H, W) about their middle times scale (N, 2), then moved by shift (N, 2) of half a side.

    Beyond the edges they are mirrored.
    """
    affine = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    affine[:, 0, 0], affine[:, 1, 1] = 1 / scale[:, 0], 1 / scale[:, 1]
    affine[:, :, 2] = -shift / scale
    grid = F.affine_grid(affine, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def shifted(pictures: Tensor) -> Tensor:
    """Half of the pictures (N, C, H, W) moved by up to ``SHIFT``."""
    n = len(pictures)
    shift = 2 * SHIFT * (_some(n, 0.5, pictures) * _between(n, 2, pictures))[..., 0, 0]
    return placed(pictures, torch.ones_like(shift), shift)


def disguised(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] whose pose and expression are the same, and little else."""
    n, x = len(pictures), pictures
    x = placed(x, 1 + SCALE * (_some(n, 0.5, x) * _between(n, 2, x))[..., 0, 0], torch.zeros(n, 2, device=x.device))
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    x = torch.lerp(x, blurred, _some(n, 0.5, x) * _between(n, 1, x))  # below 0 it is sharper
    light = (1 + BRIGHTNESS) ** (_some(n, 0.5, x) * _between(n, 1, x))
    x = (x + 1) * light * (1 + TINT * _some(n, 0.5, x) * _between(n, 3, x)) - 1
    mean = x.mean((2, 3), keepdim=True)
    x = mean + (x - mean) * (1 + CONTRAST * _some(n, 0.5, x) * _between(n, 1, x))
    grey = x.mean(1, keepdim=True).expand_as(x)
    x = torch.lerp(x, grey, _some(n, 0.3, x) * torch.rand(n, 1, 1, 1, device=x.device))
    noise = NOISE * _some(n, 0.3, x) * torch.rand(n, 1, 1, 1, device=x.device)
    return (x + noise * torch.randn_like(x)).clamp(-1, 1)
