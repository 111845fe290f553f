"""Convolutional blocks that several generators and discriminators share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from neural_render.networks.norms import SharedBatchNorm2d

Norm = Literal["batch", "instance", "group", "none"]


def make_norm(kind: Norm, channels: int) -> nn.Module:
    """The normalisation layer of that name for ``channels`` feature maps."""
    if kind == "batch":
        return SharedBatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "group":
        return nn.GroupNorm(min(8, channels), channels)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm: expected 'batch', 'instance', 'group' or 'none', got {kind!r}")


def initialize_normal(module: nn.Module, std: float = 0.02) -> None:
    """pix2pix's start: convolutions from N(0, std), normalisation scales from N(1, std), biases zero."""
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(m.weight, 0.0, std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)):
            nn.init.normal_(m.weight, 1.0, std)
            nn.init.zeros_(m.bias)


class DownModule(nn.Module):
    """Halves the resolution: 4 x 4 convolution of stride 2, normalisation, leaky ReLU 0.2.

    (N, inputs, H, W) -> (N, outputs, H/2, W/2).
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, outputs)
        self.activation = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.convolution(x)))


class RefinementUnit(nn.Module):
    """3 x 3 convolution, normalisation, dropout, ReLU at constant resolution."""

    def __init__(self, inputs: int, outputs: int, norm: Norm = "batch", dropout: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.dropout(self.norm(self.convolution(x))))


class UpModule(nn.Module):
    """Doubles the resolution, joins the encoder's feature of that resolution, refines.

    4 x 4 deconvolution of stride 2, normalisation, dropout, concatenation, ReLU, then ``refinements`` units.
    (N, inputs, H, W) and skip (N, skips, 2H, 2W) -> (N, outputs, 2H, 2W).
    """

    def __init__(
        self,
        inputs: int,
        skips: int,
        outputs: int,
        norm: Norm = "batch",
        *,
        dropout: float = 0.0,
        refinements: int = 2,
    ) -> None:
        super().__init__()
        self.deconvolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.activation = nn.ReLU(inplace=True)
        widths = [outputs + skips] + [outputs] * refinements
        self.refinement = nn.Sequential(*(RefinementUnit(a, b, norm, dropout) for a, b in zip(widths[:-1], widths[1:])))

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        x = self.dropout(self.norm(self.deconvolution(x)))
        if skip is not None:
            if skip.shape[-2:] != x.shape[-2:]:
                raise ValueError(f"skip: expected {tuple(x.shape[-2:])} pixels, got {tuple(skip.shape[-2:])}")
            x = torch.cat([x, skip], dim=1)
        return self.refinement(self.activation(x))


def folded(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: nn.Module) -> nn.Conv2d | nn.ConvTranspose2d:
    """A convolution that does what ``convolution`` followed by an evaluation-mode batch ``norm`` does."""
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    return nn.utils.fusion.fuse_conv_bn_eval(convolution, norm, transpose=transposed)


def fold_norms(network: nn.Module) -> None:
    """Folds, in place, each block's batch normalisation into its convolution, for evaluation."""
    for block in network.modules():
        if isinstance(getattr(block, "norm", None), nn.BatchNorm2d):
            name = "deconvolution" if hasattr(block, "deconvolution") else "convolution"
            setattr(block, name, folded(getattr(block, name), block.norm))
            block.norm = nn.Identity()
