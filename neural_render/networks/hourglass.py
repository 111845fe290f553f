"""Stacked hourglasses: pictures to maps of where things are (Newell et al., ECCV 2016)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks.blocks import Norm, make_norm


class PreActivation(nn.Module):
    """x + 1 x 1, 3 x 3 and 1 x 1 convolutions, each after normalisation and ReLU, of half the channels within.

    He et al., ECCV 2016. (N, inputs, H, W) -> (N, outputs, H, W); where those differ x is brought to them by a 1 x 1
    convolution.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm = "batch") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b, kernel in ((inputs, outputs // 2, 1), (outputs // 2, outputs // 2, 3), (outputs // 2, outputs, 1)):
            layers += [make_norm(norm, a), nn.ReLU(), nn.Conv2d(a, b, kernel, padding=kernel // 2)]
        self.body = nn.Sequential(*layers)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Hourglass(nn.Module):
    """Down ``depth`` halvings and up again, each level beside a block at its own resolution; the shape stays."""

    def __init__(self, channels: int, depth: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.beside, self.before, self.after = (PreActivation(channels, channels, norm) for _ in range(3))
        below = Hourglass(channels, depth - 1, norm) if depth > 1 else PreActivation(channels, channels, norm)
        self.below = below

    def forward(self, x: Tensor) -> Tensor:
        low = self.after(self.below(self.before(F.max_pool2d(x, 2))))
        return self.beside(x) + F.interpolate(low, scale_factor=2, mode="nearest")


class StackedHourglass(nn.Module):
    """Pictures (N, 3, S, S) to maps (N, outputs, S / reduction, S / reduction) of each stack, the last the best.

    A stem of a 7 x 7 convolution of stride 2, three blocks, and a max-pooling where ``reduction`` is 4; then stacks of
    an hourglass, a block, a 1 x 1 convolution and the maps, which the next stack gets with the features. The maps are
    linear scores. 256 features in the paper; S / reduction is a multiple of 2^depth.
    """

    def __init__(
        self,
        outputs: int,
        width: int = 256,
        *,
        stacks: int = 2,
        depth: int = 4,
        reduction: int = 4,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if reduction not in (2, 4):
            raise ValueError(f"reduction: expected 2 or 4, got {reduction}")

        def finished(a: int, b: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            convolution = nn.Conv2d(a, b, kernel, stride=stride, padding=kernel // 2)
            return [convolution, make_norm(norm, b), nn.ReLU(inplace=True)]

        self.stem = nn.Sequential(
            *finished(3, width // 4, 7, 2),
            PreActivation(width // 4, width // 2, norm),
            nn.MaxPool2d(2) if reduction == 4 else nn.Identity(),
            PreActivation(width // 2, width // 2, norm),
            PreActivation(width // 2, width, norm),
        )
        self.stacks = nn.ModuleList(
            nn.Sequential(Hourglass(width, depth, norm), PreActivation(width, width, norm), *finished(width, width, 1))
            for _ in range(stacks)
        )
        self.to_maps = nn.ModuleList(nn.Conv2d(width, outputs, 1) for _ in range(stacks))
        self.features_back = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(stacks - 1))
        self.maps_back = nn.ModuleList(nn.Conv2d(outputs, width, 1) for _ in range(stacks - 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x, found = self.stem(pictures), []
        for k, (stack, to_maps) in enumerate(zip(self.stacks, self.to_maps)):
            features = stack(x)
            found.append(to_maps(features))
            if k < len(self.features_back):
                x = x + self.features_back[k](features) + self.maps_back[k](found[-1])
        return found
