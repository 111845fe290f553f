"""What is done to faces before their units are read, so that nothing but their shape says them.

A generator finds the cheapest change that a reader takes for a smile: without this, a tint of the whole face, or
coloured stripes of a pixel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT, ZOOM, TURN = 0.06, 0.06, 0.1  # at most: of half a patch's side, about 1, radians
BRIGHTNESS, TINT, CONTRAST = 0.4, 0.2, 0.4  # at most; tint is a channel's own brightness
NOISE = 0.08  # largest standard deviation, of a range of 2
PATCHES = 4  # squares a side whose brightness differs, bilinear between them
UNEVEN = 0.25  # at most
SHARP = 0.5  # of a picture's finest detail, that is left at most: stripes of a pixel or two say nothing


def _between(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """In [-1, 1]."""
    return 2 * torch.rand(shape, device=device) - 1


def shaken(count: int, device: torch.device) -> Tensor:
    """(N, 2, 3): places of patches, each a little beside the one before, turned and zoomed."""
    angle, zoom = TURN * _between((count,), device), 1 + ZOOM * _between((count,), device)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    shift = SHIFT * _between((count, 2), device)
    return torch.stack([torch.stack([cos, -sin, shift[:, 0]], -1), torch.stack([sin, cos, shift[:, 1]], -1)], 1)


def disguised(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, S, S) in [-1, 1] blurred, less coloured, in another light, evenly and unevenly, with noise."""
    n, device = len(pictures), pictures.device
    half = F.avg_pool2d(pictures, 2)
    blurred = F.interpolate(half, size=pictures.shape[-2:], mode="bilinear", align_corners=False)
    pictures = torch.lerp(blurred, pictures, SHARP * torch.rand(n, 1, 1, 1, device=device))
    grey = pictures.mean(1, keepdim=True)
    pictures = torch.lerp(grey, pictures, torch.rand(n, 1, 1, 1, device=device))
    uneven = F.interpolate(
        _between((n, 1, PATCHES, PATCHES), device), pictures.shape[-2:], mode="bilinear", align_corners=False
    )
    light = (1 + BRIGHTNESS) ** _between((n, 1, 1, 1), device) * (1 + TINT * _between((n, 3, 1, 1), device))
    x = (pictures + 1) * light * (1 + UNEVEN * uneven) - 1
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * (1 + CONTRAST * _between((n, 1, 1, 1), device))
    return x + NOISE * torch.rand(n, 1, 1, 1, device=device) * torch.randn_like(x)
