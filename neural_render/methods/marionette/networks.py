"""MarioNETte's generator: a driver's drawn landmarks, and a target's pictures with theirs, to a picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks import warp
from neural_render.networks.attention import ImageAttention
from neural_render.networks.residual import ResidualScale

COARSE = 16  # px a side of the driver's features, and twice that of the target's
BLOCKS = 3  # of attention


def levels_of(size: int) -> int:
    """Halvings of a picture to ``COARSE`` px: four at 256. ValueError for other sizes than powers of two from 32."""
    levels = size.bit_length() - COARSE.bit_length()
    if COARSE * 2**levels != size or levels < 1:
        raise ValueError(f"size: expected a power of two of at least {2 * COARSE}, got {size}")
    return levels


def channels_of(size: int, width: int) -> list[int]:
    """Channels after each halving of a picture: width * (1, 2, 4, 8) at 256 px."""
    return [width * min(2**k, 8) for k in range(levels_of(size))]


class TargetEncoder(nn.Module):
    """A target's pictures and their landmark pictures (N, 6, S, S) to features, and to features without their pose.

    A U-Net without normalisation (Ha et al., AAAI 2020, Sec. 3.2): (N, C, 8, 8), and from coarse to fine the maps of 16
    px to S / 2, warped by one flow, which is averaged down for the coarser ones. Flows are offsets from the identity.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        channels = channels_of(size, width)
        down = [6, *channels, channels[-1]]
        self.down = nn.ModuleList(
            ResidualScale(a, b, 0.5, "none", first=k == 0) for k, (a, b) in enumerate(zip(down[:-1], down[1:]))
        )
        coarse_first = channels[::-1]
        ups, x = [], channels[-1]
        for skip in coarse_first:
            ups.append(ResidualScale(x, skip, 2, "none"))
            x = skip
        self.up = nn.ModuleList(ups)
        self.join = nn.ModuleList(nn.Conv2d(2 * c, c, 1) for c in coarse_first)
        self.to_flow = nn.Conv2d(x, 2, 3, padding=1)
        nn.init.zeros_(self.to_flow.weight)
        nn.init.zeros_(self.to_flow.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for block in self.down:
            x = block(x)
            features.append(x)
        code, maps = x, []
        for up, join, skip in zip(self.up, self.join, features[-2::-1]):
            x = join(torch.cat([up(x), skip], 1))
            maps.append(x)
        flow = torch.tanh(self.to_flow(x).float())
        flows = [F.adaptive_avg_pool2d(flow, m.shape[-2:]).movedim(1, -1) for m in maps]
        return code, [warp(m.float(), f) for m, f in zip(maps, flows)]


class AlignmentBlock(nn.Module):
    """Features u (N, C, h, w) meet a target's map (N, D, h, w), warped to where u has it: (N, outputs, 2h, 2w)."""

    def __init__(self, inputs: int, maps: int, outputs: int) -> None:
        super().__init__()
        self.to_flow = nn.Conv2d(inputs, 2, 1)
        nn.init.zeros_(self.to_flow.weight)
        nn.init.zeros_(self.to_flow.bias)
        self.join = nn.Conv2d(inputs + maps, inputs, 1)
        self.up = ResidualScale(inputs, outputs, 2)

    def forward(self, u: Tensor, maps: Tensor) -> Tensor:
        flow = torch.tanh(self.to_flow(u).float()).movedim(1, -1)
        return self.up(self.join(torch.cat([u, warp(maps, flow).to(u)], 1)))


class Generator(nn.Module):
    """Ha et al., AAAI 2020, Fig. 2; of ``size`` 256 and ``width`` 64; smaller pictures have fewer levels."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        channels = channels_of(size, width)
        down = [3, *channels]
        self.driver = nn.Sequential(
            *(ResidualScale(a, b, 0.5, first=k == 0) for k, (a, b) in enumerate(zip(down[:-1], down[1:])))
        )
        self.target = TargetEncoder(size, width)
        coarse = channels[-1]
        self.blender = nn.ModuleList(ImageAttention(coarse, coarse, width) for _ in range(BLOCKS))
        outputs = [*channels[-2::-1], width]
        inputs = [coarse, *outputs[:-1]]
        self.decoder = nn.ModuleList(AlignmentBlock(a, m, b) for a, m, b in zip(inputs, channels[::-1], outputs))
        self.to_rgb = nn.Conv2d(width, 3, 3, padding=1)  # normalised, a picture's own colours would be lost

    def encode(self, pictures: Tensor, drawn: Tensor) -> tuple[Tensor, list[Tensor]]:
        """A target's pictures (N, K, 3, S, S), and their landmark pictures, to what ``draw`` takes of it."""
        count = pictures.shape[1]
        code, maps = self.target(torch.cat([pictures, drawn], 2).flatten(0, 1))
        return code.unflatten(0, (-1, count)), [m.unflatten(0, (-1, count)).mean(1) for m in maps]

    def draw(self, driver: Tensor, code: Tensor, maps: list[Tensor]) -> Tensor:
        """Landmark pictures (N, 3, S, S) and what ``encode`` gave, of N targets: (N, 3, S, S) in [-1, 1]."""
        u = self.driver(driver)
        for block in self.blender:
            u = block(u, code)
        for block, found in zip(self.decoder, maps):
            u = block(u, found)
        return torch.tanh(self.to_rgb(u).float())

    def forward(self, driver: Tensor, pictures: Tensor, drawn: Tensor) -> Tensor:
        return self.draw(driver, *self.encode(pictures, drawn))
