"""A picture to one code and the code to maps: pix2pix's U-Net with bilinear upsampling, whose skips may be left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks.blocks import DownModule, Norm, make_norm


def channels_of(size: int, width: int) -> list[int]:
    """Channels after each halving of ``size`` px down to one: width * (1, 2, 4, 8, 8, ...).

    ValueError for a size that isn't a power of two of at least 8.
    """
    levels = size.bit_length() - 1
    if 2**levels != size or levels < 3:
        raise ValueError(f"size: expected a power of two of at least 8, got {size}")
    return [width * min(2**k, 8) for k in range(levels)]


class Encoder(nn.Module):
    """(N, inputs, size, size) to a code (N, code) and the features on the way, (N, c, size / 2, size / 2) first.

    4 x 4 convolutions of stride 2 with leaky ReLU 0.2 before each but the first; no normalisation in the first and
    the last. The code is the last convolution's, as it is.
    """

    def __init__(self, inputs: int, size: int, width: int, code: int | None = None, norm: Norm = "batch") -> None:
        super().__init__()
        channels = channels_of(size, width)
        kinds: list[Norm] = ["none"] + [norm] * (len(channels) - 2)
        self.code = code or channels[-1]
        self.down = nn.ModuleList(
            DownModule(a, b, kind) for a, b, kind in zip([inputs, *channels[:-2]], channels[:-1], kinds)
        )
        self.to_code = nn.Conv2d(channels[-2], self.code, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for module in self.down:
            x = module(x)
            features.append(x)
        return self.to_code(x).flatten(1), features


class Decoder(nn.Module):
    """A code (N, code) to maps (N, outputs, size, size), with ``skips`` by way of an encoder's features.

    ReLU, bilinear upsampling by two, 3 x 3 convolution, normalisation but for the last, then the encoder's feature of
    that size beside it. The maps are the last convolution's, as they are; they begin near zero.
    """

    def __init__(
        self, outputs: int, size: int, width: int, code: int | None = None, *, skips: bool, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        *channels, last = channels_of(size, width)
        self.skips, up = skips, []
        x = code or last
        for c in reversed(channels):
            up.append(nn.Sequential(nn.Conv2d(x, c, 3, padding=1, bias=norm == "none"), make_norm(norm, c)))
            x = 2 * c if skips else c
        self.up = nn.ModuleList(up)
        self.to_maps = nn.Conv2d(x, outputs, 3, padding=1)
        nn.init.normal_(self.to_maps.weight, std=0.01 / math.sqrt(x))
        nn.init.zeros_(self.to_maps.bias)

    def levels(self, code: Tensor, features: Sequence[Tensor] = ()) -> list[Tensor]:
        """What each upsampling but the last gives, before its ReLU: 2 px first, ``size`` / 2 last."""
        x, found = code[..., None, None], []
        for k, module in enumerate(self.up):
            x = module(doubled(F.relu(x)))
            if self.skips:
                x = torch.cat([x, features[-1 - k]], 1)
            found.append(x)
        return found

    def maps(self, level: Tensor) -> Tensor:
        """Of the last level."""
        return self.to_maps(doubled(F.relu(level)))

    def forward(self, code: Tensor, features: Sequence[Tensor] = ()) -> Tensor:
        return self.maps(self.levels(code, features)[-1])


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), bilinear; pixels are areas, as in ``warp``."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
