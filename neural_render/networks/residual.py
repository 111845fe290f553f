"""Residual blocks that halve or double the resolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks.blocks import Norm, make_norm


class ResidualScale(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H * scale, W * scale), scale 0.5, 1 or 2.

    Normalisation, ReLU and a 3 x 3 convolution twice, beside a 1 x 1 shortcut; the change of resolution is by means of
    2 x 2 pixels at the end, or by the nearest pixel before the first convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, scale: float, norm: Norm = "instance", *, first: bool = False
    ) -> None:
        super().__init__()
        self.scale = scale
        begin: list[nn.Module] = [] if first else [make_norm(norm, inputs), nn.ReLU()]  # a ReLU would cut pictures
        self.begin = nn.Sequential(*begin)
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.between = nn.Sequential(make_norm(norm, outputs), nn.ReLU(inplace=True))
        self.two = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.begin(x)
        if self.scale == 2:
            x, y = (F.interpolate(t, scale_factor=2, mode="nearest") for t in (x, y))
        y = self.two(self.between(self.one(y))) + self.shortcut(x)
        return F.avg_pool2d(y, 2) if self.scale == 0.5 else y
