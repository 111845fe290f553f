"""Networks that turn face pictures into embeddings: SphereFace's residual networks and ResNet-18.

All take (B, 3, H, W) float pictures in about -1 to 1 (see ``recognition.pictures``) and return (B, D) embeddings.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from foundation.errors import PortraitError, unknown_name

# Residual units of the four stages. 20: SphereFace's paper and code. 64: as its authors published the 64-layer network
# (the paper's table prints 8 units in stage two, their file has 7). 27: the centre-loss network of Wen et al.
UNITS = {"resnet20": (1, 2, 4, 1), "resnet27": (1, 2, 5, 3), "resnet64": (3, 7, 16, 3)}
BACKBONES = (*UNITS, "resnet18")


class Residual(nn.Module):
    """Two 3 x 3 convolutions, each with a PReLU, beside the identity; no batch normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        layers = []
        for _ in range(2):
            # the authors' initialisation; they keep the biases inside the units at 0
            convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            nn.init.normal_(convolution.weight, std=0.01)
            layers += [convolution, nn.PReLU(channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SphereFaceNet(nn.Module):
    """SphereFace's networks (Liu et al., CVPR 2017; wy1iu/sphereface): four stages, each begun by a stride of 2.

    ``width`` is the first stage's channels; the next have 2, 4 and 8 times as many. "resnet27" has the centre-loss
    network's stem of two convolutions and its units, with stride-2 convolutions in place of its max pooling.
    """

    def __init__(self, name: str, height: int, width_px: int, features: int, width: int = 64):
        super().__init__()
        layers, channels = [], 3
        if name == "resnet27":
            layers += _convolution(3, width // 2, stride=1)
            channels = width // 2
        for stage, units in enumerate(UNITS[name]):
            layers += _convolution(channels, width << stage, stride=2)
            channels = width << stage
            layers += [Residual(channels) for _ in range(units)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels * math.ceil(height / 16) * math.ceil(width_px / 16), features)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.layers(pictures).flatten(1))


def _convolution(before: int, after: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1)
    nn.init.xavier_uniform_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return [convolution, nn.PReLU(after)]


def resnet18(features: int) -> nn.Module:
    """torchvision's ResNet-18 without weights, its classifier replaced by the embedding (DREAM's base, 256-d there)."""
    from torchvision.models import resnet18 as make

    return make(weights=None, num_classes=features)


def make_backbone(name: str, height: int, width_px: int, features: int, width: int = 64) -> nn.Module:
    """The backbone called ``name`` for pictures of height x width_px. width: see ``SphereFaceNet``."""
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    if min(height, width_px) < 16:
        raise PortraitError(f"picture size: expected 16 px or more, got {height} x {width_px}; usual is 112 x 96")
    if name == "resnet18":
        if width != 64:
            raise PortraitError(f"width: resnet18 begins with 64 channels, got {width}; leave width out")
        return resnet18(features)
    return SphereFaceNet(name, height, width_px, features, width)
