"""UV-GAN's generator: a U-Net that sees a texture with holes, its mirror, and where each is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural_render.networks import DownModule, UpModule, initialize_normal
from neural_render.uv_gan.filling import mirror_fill_batch

INPUTS = 8
"""Channels of its input: texture 3, mirrored texture 3, where each is known 1 + 1."""


def generator_input(texture: Tensor, known: Tensor, noise: Tensor) -> Tensor:
    """(N, 8, S, S) from textures (N, 3, S, S) in [-1, 1], masks (N, 1, S, S) in [0, 1] and noise like the textures.

    Holes hold noise, and so do the mirror's.
    """
    filled = known * texture + (1 - known) * noise
    return torch.cat([filled, filled.flip(-1), known, known.flip(-1)], 1)


class UVGenerator(nn.Module):
    """Encoder-decoder with skips; (N, 8, S, S) -> complete textures (N, 3, S, S) in [-1, 1].

    Deng et al. (UV-GAN, CVPR 2018) feed the texture and its mirror to pix2pix's U-Net. Where this departs from them:
    the output is a learned difference to mirror completion (``mirror_fill_batch`` about the training set's mean
    texture), which the network sees too. So it begins as that, keeps fine detail that a bottleneck would blur, and a
    short training improves on it.

    size: a power of two from 32. norm: of the blocks; "group" doesn't depend on who else is in the batch.
    deepest: down modules at most.
    """

    def __init__(self, size: int, width: int = 32, *, norm: str = "group", deepest: int = 6) -> None:
        super().__init__()
        levels = min(size.bit_length() - 3, deepest)  # 4 px at the bottom, or more
        if size < 32 or size & (size - 1):
            raise ValueError(f"size: expected a power of two from 32, got {size}")
        self.size, self.width = size, width
        channels = [width * min(2**k, 8) for k in range(levels)]
        self.entry = nn.Sequential(nn.Conv2d(INPUTS + 3, width, 3, padding=1), nn.LeakyReLU(0.2))
        self.down = nn.ModuleList(DownModule(a, b, norm) for a, b in zip([width, *channels[:-1]], channels))
        sizes = [*reversed(channels), width]
        skips = [*reversed(channels[:-1]), width]
        self.up = nn.ModuleList(
            UpModule(a, skip, b, norm, refinements=1) for a, b, skip in zip(sizes[:-1], sizes[1:], skips)
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.register_buffer("mean", torch.zeros(1, 3, size, size))
        initialize_normal(self)
        nn.init.zeros_(self.last.weight)  # no difference to begin with

    @torch.no_grad()
    def start_from(self, mean: Tensor) -> None:
        """Sets the mean texture (3, S, S) in [-1, 1]."""
        self.mean.copy_(mean)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != (INPUTS, self.size, self.size):
            raise ValueError(f"input: expected (N, {INPUTS}, {self.size}, {self.size}), got {tuple(x.shape)}")
        base = mirror_fill_batch(x[:, :3], x[:, 6:7], self.mean)
        features = [self.entry(torch.cat([x, base], 1))]
        for module in self.down:
            features.append(module(features[-1]))
        y = features.pop()
        for module in self.up:
            y = module(y, features.pop())
        return (base + 2 * torch.tanh(self.last(y).float())).clamp(-1, 1)
