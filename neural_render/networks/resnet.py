"""The residual generator of CycleGAN, after Johnson et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural_render.networks.blocks import Norm, initialize_normal, make_norm


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), 3 x 3 convolutions on reflected borders; the shape stays (N, C, H, W)."""

    def __init__(self, channels: int, norm: Norm = "instance") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=norm == "none")]
            layers += [make_norm(norm, channels), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ResNetGenerator(nn.Module):
    """c7s1-64, d128, d256, ``blocks`` residual blocks, u128, u64, c7s1-3 (Zhu et al., ICCV 2017, appendix).

    (N, inputs, H, W) -> (N, outputs, H, W) in [-1, 1]; H and W are multiples of four. Nine blocks is CycleGAN's choice
    at 256 pixels, six at 128. Channels scale with ``width``, 64 in the paper.
    """

    def __init__(
        self, inputs: int = 3, outputs: int = 3, width: int = 64, *, blocks: int = 9, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        bias = norm == "none"

        def finish(channels: int) -> list[nn.Module]:
            return [make_norm(norm, channels), nn.ReLU(inplace=True)]

        layers = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7, bias=bias), *finish(width)]
        for a in (width, 2 * width):
            layers += [nn.Conv2d(a, 2 * a, 3, stride=2, padding=1, bias=bias), *finish(2 * a)]
        layers += [ResidualBlock(4 * width, norm) for _ in range(blocks)]
        for a in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(a, a // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += [up, *finish(a // 2)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7)]
        self.body = nn.Sequential(*layers)
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 4 or x.shape[-2] % 4:
            raise ValueError(f"image: expected a height and width that four divides, got {tuple(x.shape[-2:])}")
        return torch.tanh(self.body(x))
