"""MarioNETte's generator: a driver's landmarks, and a target's pictures with theirs, to a picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.methods.common.carrying import led
from neural_render.networks import warp
from neural_render.networks.attention import ImageAttention
from neural_render.networks.residual import ResidualScale

COARSE = 16  # px a side of the driver's features, and twice that of the target's
BLOCKS = 3  # of attention
NEAR = 0.1  # of half a crop, in which landmarks lead what is around them
HIDDEN = 16  # channels between what is known of a target's picture at a place and how much it counts there
NEARER = 500.0  # of squared distances of landmarks, in half crops: 0.045 from where they should be costs a factor of e


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


class Aligned(NamedTuple):
    """What a block makes of K pictures' maps, and where it found them."""

    features: Tensor  # (N, outputs, 2h, 2w)
    flow: Tensor  # (N, K, 2, h, w)
    shares: Tensor  # (N, K, 1, h, w): how much each picture counts, 1 together


class AlignmentBlock(nn.Module):
    """Features u (N, C, h, w) meet a target's maps (N, K, D, h, w), brought to where u has them (Ha et al., Sec. 3.4).

    Where this departs from the paper: what the decoder adds to is the flow by which each picture's landmarks come to
    the driver's, (N, K, 2, any, any); and its mean over the pictures is weighed, place by place, by what is known of
    each there: a side of the head that one doesn't show is the others' to tell. It begins with `nearness` (N, K): one
    that hardly has to move is sharp, and its mean with others isn't.
    """

    def __init__(self, inputs: int, maps: int, outputs: int) -> None:
        super().__init__()
        self.to_flow = nn.Conv2d(inputs, 2, 1)
        self.to_share = nn.Sequential(nn.Conv2d(inputs + maps + 2, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, 1, 1))
        for zero in (self.to_flow, self.to_share[-1]):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)
        self.join = nn.Conv2d(inputs + maps, inputs, 1)
        self.up = ResidualScale(inputs, outputs, 2)

    def forward(self, u: Tensor, maps: Tensor, flow: Tensor, near: Tensor) -> Aligned:
        own = torch.tanh(self.to_flow(u).float())
        flow = resized(flow, u.shape[-2:]) + own[:, None]
        found = moved(maps, flow).to(u)
        told = torch.cat([u[:, None].expand(-1, maps.shape[1], -1, -1, -1), found, flow.to(u)], 2)
        counts = self.to_share(told.flatten(0, 1)).unflatten(0, maps.shape[:2]).float()
        shares = torch.softmax(counts + near[..., None, None, None], 1)
        features = self.up(self.join(torch.cat([u, (shares.to(u) * found).sum(1)], 1)))
        return Aligned(features, flow, shares)


def nearness(points: Tensor, wanted: Tensor) -> Tensor:
    """(N, K): how much landmarks (N, K, P, 2) count for the wanted ones (N, P, 2), in exponents; 0 at most.

    By the mean squared distance once both lie on each other: what is only somewhere else in the crop is as sharp.
    """
    apart = points - wanted[:, None]
    return -NEARER * (apart - apart.mean(2, keepdim=True)).square().sum(-1).mean(-1)


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, K, C, *size) of (N, K, C, h, w)."""
    found = F.interpolate(maps.flatten(0, 1), size=size, mode="bilinear", align_corners=False)
    return found.unflatten(0, maps.shape[:2])


def moved(maps: Tensor, flow: Tensor) -> Tensor:
    """Maps (N, K, C, h, w) by flows (N, K, 2, h, w)."""
    found = warp(maps.flatten(0, 1).float(), flow.flatten(0, 1).movedim(1, -1))
    return found.unflatten(0, maps.shape[:2])


class Known(NamedTuple):
    """A target, N of them, of K pictures each, as the decoder takes it."""

    pictures: Tensor  # (N, K, 3, S, S)
    points: Tensor  # (N, K, P, 2) their landmarks
    code: Tensor  # (N, K, C, 8, 8) what is attended to
    maps: list[Tensor]  # (N, K, D, h, w) each, from coarse to fine


class Generator(nn.Module):
    """Ha et al., AAAI 2020, Fig. 2; of ``size`` 256 and ``width`` 64; smaller pictures have fewer levels.

    Where this departs from the paper: flows begin at what landmarks say, as `AlignmentBlock` tells, and the target's
    pictures come to the last layer by the finest of them, which says beside colours how much of that shows through.
    """

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
        # Beside features, which are normalised on their way, the pictures' own colours.
        self.to_picture = nn.Conv2d(width + 3, 4, 3, padding=1)

    def encode(self, pictures: Tensor, drawn: Tensor, points: Tensor) -> Known:
        """A target's pictures (N, K, 3, S, S), with their landmark pictures and landmarks (N, K, P, 2)."""
        count = pictures.shape[1]
        code, maps = self.target(torch.cat([pictures, drawn], 2).flatten(0, 1))
        return Known(pictures, points, code.unflatten(0, (-1, count)), [m.unflatten(0, (-1, count)) for m in maps])

    def draw(self, driver: Tensor, wanted: Tensor, known: Known) -> Tensor:
        """Landmark pictures (N, 3, S, S) and landmarks (N, P, 2), and targets: (N, 3, S, S) in [-1, 1]."""
        u, count = self.driver(driver), known.pictures.shape[1]
        for block in self.blender:
            u = block(u, known.code)
        flow = led(known.points.flatten(0, 1), wanted.repeat_interleave(count, 0), NEAR)
        flow = flow.movedim(-1, 1).unflatten(0, (-1, count))
        near = nearness(known.points, wanted)
        for block, maps in zip(self.decoder, known.maps):
            u, finest, shares = block(u, maps, flow, near)
        finest, shares = (resized(t, known.pictures.shape[-2:]) for t in (finest, shares))
        shown = (shares * moved(known.pictures, finest)).sum(1)
        colours, kept = self.to_picture(torch.cat([u, shown.to(u)], 1)).float().split([3, 1], 1)
        return torch.lerp(torch.tanh(colours), shown, torch.sigmoid(kept))

    def forward(self, driver: Tensor, wanted: Tensor, pictures: Tensor, drawn: Tensor, points: Tensor) -> Tensor:
        return self.draw(driver, wanted, self.encode(pictures, drawn, points))
