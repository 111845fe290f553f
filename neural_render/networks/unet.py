"""The translation network of Deep Video Portraits."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from neural_render.networks.blocks import DownModule, Norm, UpModule, initialize_normal


class RefinementUNet(nn.Module):
    """Encoder-decoder with skips and two refinement units an up module (Kim et al., SIGGRAPH 2018, Fig. 4).

    log2(size) down modules bring ``size`` pixels to one, as many up modules bring them back; the feature that
    joins an up module is the encoder's of the same height and width. Channels are width * (1, 2, 4, 8, 8, ...).
    Dropout 0.5 in the first three up modules. (N, inputs, size, size) -> (N, 3, size, size) in [-1, 1],
    with ``beneath`` sometimes a little beyond.

    Where this departs from the paper:

    - The last up module keeps ``width`` / 2 channels through its refinement units, and a 3 x 3 convolution without
      normalisation makes the three colours before tanh. (Refining three channels leaves the finest scale with
      81 weights a unit; a ReLU before tanh could never give a negative value.)
    - The one-pixel bottleneck has no normalisation: with one picture a batch its variance is undefined.
    - ``background``: a learned picture shows through where the network lets it.
    - ``beneath``: so does the condition's own first three channels, a picture that is about right already; what the
      network adds to either keeps their detail.
    """

    def __init__(
        self,
        inputs: int = 99,
        size: int = 256,
        width: int = 64,
        *,
        norm: Norm = "batch",
        dropout: float = 0.5,
        refinements: int = 2,
        background: bool = True,
        beneath: bool = False,
    ) -> None:
        super().__init__()
        levels = int(math.log2(size))
        if 2**levels != size or levels < 3:
            raise ValueError(f"size: expected a power of two of at least 8, got {size}")
        self.inputs, self.size, self.width, self.beneath = inputs, size, width, beneath
        channels = [width * min(2**k, 8) for k in range(levels)]  # after each down module
        kinds: list[Norm] = ["none"] + [norm] * (levels - 2) + ["none"]
        self.down = nn.ModuleList(
            DownModule(a, b, kind) for a, b, kind in zip([inputs, *channels[:-1]], channels, kinds)
        )
        up: list[UpModule] = []
        x = channels[-1]
        for k, skip in enumerate(reversed(channels[:-1])):
            up.append(UpModule(x, skip, skip, norm, dropout=dropout if k < 3 else 0.0, refinements=refinements))
            x = skip
        finest = max(width // 2, 4)
        up.append(UpModule(x, 0, finest, norm, refinements=refinements))
        self.up = nn.ModuleList(up)
        self.to_rgb = nn.Conv2d(finest, 8 if beneath else 4 if background else 3, 3, padding=1)
        self.background = nn.Parameter(torch.zeros(1, 3, size, size)) if background else None
        initialize_normal(self)

    @torch.no_grad()
    def start_from(self, image: Tensor) -> None:
        """Sets the background to an image (3, size, size) in [-1, 1]."""
        if self.background is not None:
            self.background.copy_(image)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != (self.inputs, self.size, self.size):
            expected = (self.inputs, self.size, self.size)
            raise ValueError(f"condition: expected (N, {', '.join(map(str, expected))}), got {tuple(x.shape)}")
        shown, features = x[:, :3], []
        for module in self.down:
            x = module(x)
            features.append(x)
        skips: list[Tensor | None] = [*reversed(features[:-1]), None]
        for module, skip in zip(self.up, skips):
            x = module(x, skip)
        x = self.to_rgb(x).float()
        rgb = torch.tanh(x[:, :3])
        if self.background is None and not self.beneath:
            return rgb
        under = torch.zeros_like(rgb) if self.background is None else self.background.float()
        if self.beneath:
            under = torch.lerp(under, shown.float(), torch.sigmoid(x[:, 4:5])) + torch.tanh(x[:, 5:])
        return torch.lerp(under, rgb, torch.sigmoid(x[:, 3:4]))
