"""Pictures to codes: the forms of ResNeXt-50 and MobileNetV2, narrower where asked."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torchvision.models import MobileNetV2
from torchvision.models.resnet import Bottleneck

from neural_render.networks.blocks import Norm, make_norm

DEPTHS = (3, 4, 6, 3)  # blocks of ResNeXt-50's four stages


def begin_at_shortcuts(network: nn.Module) -> None:
    """Residual blocks begin as their shortcuts: the scale of the last normalisation beside those is zero.

    Goyal et al., "Accurate, large minibatch SGD", 2017, Sec. 5.1.
    """
    for block in network.modules():
        if isinstance(block, Bottleneck):
            nn.init.zeros_(block.bn3.weight)


class ResNeXtEncoder(nn.Module):
    """(N, 3, H, W) to codes (N, outputs): ResNeXt-50 of 32 groups of 4 (Xie et al., CVPR 2017) at a width of 64.

    Narrower ones have half as many groups as ``width``, of 4 channels in the first stage as well. ``shallow``: one
    block a stage, which begins as its shortcut.
    """

    def __init__(self, outputs: int, width: int = 64, norm: Norm = "group", *, shallow: bool = False) -> None:
        super().__init__()
        make = partial(make_norm, norm)
        layers = [nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False), make(width), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        x = width
        for stage, depth in enumerate((1, 1, 1, 1) if shallow else DEPTHS):
            planes = width * 2**stage
            for block in range(depth):
                stride, shortcut = 2 if stage and not block else 1, None
                if not block:
                    shortcut = nn.Sequential(nn.Conv2d(x, 4 * planes, 1, stride, bias=False), make(4 * planes))
                layers.append(Bottleneck(x, planes, stride, shortcut, width // 2, 4 * 64 // width, 1, make))
                x = 4 * planes
        self.body = nn.Sequential(*layers)
        self.to_code = nn.Linear(x, outputs)
        if shallow:
            begin_at_shortcuts(self.body)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.to_code(self.body(pictures).mean((2, 3)))


STAGES = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
"""MobileNetV2's (Sandler et al., CVPR 2018, Table 2): expansion, channels, blocks, stride of the first."""


class MobileEncoder(nn.Module):
    """(N, 3, H, W) to codes (N, outputs): MobileNetV2 (Sandler et al., CVPR 2018), channels times ``width`` / 64.

    Channels are multiples of eight, the last layer's 1280 whatever the width. ``size`` px are halved five times, as
    there; small pictures less often, so that at least 4 x 4 places are left, which say where things are. ``shallow``:
    one block a stage.
    """

    def __init__(
        self, outputs: int, width: int = 64, norm: Norm = "group", size: int = 256, *, shallow: bool = False
    ) -> None:
        super().__init__()
        stages, extra = [list(stage) for stage in STAGES], max(0, 7 - (size.bit_length() - 1))
        for stage in [stage for stage in stages if stage[3] == 2][:extra]:
            stage[3] = 1
        if shallow:
            for stage in stages:
                stage[2] = 1
        norm_layer = partial(make_norm, norm)
        self.body = MobileNetV2(outputs, width / 64, stages, norm_layer=norm_layer, dropout=0.0)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.body(pictures)
