"""ReenactGAN's networks between pictures and boundaries, which are maps (N, K, H, H) in [0, 1] of a face's K lines."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks import PatchDiscriminator, RefinementUNet, ResNetGenerator, StackedHourglass, make_norm


class BoundaryEncoder(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] to the boundaries of both stacks: scores, which may leave [0, 1]."""

    def __init__(self, lines: int, size: int, side: int, width: int = 64) -> None:
        super().__init__()
        self.hourglass = StackedHourglass(lines, 4 * width, reduction=size // side)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [maps.float() for maps in self.hourglass(pictures)]

    def boundary(self, pictures: Tensor) -> Tensor:
        return self(pictures)[-1].clamp(0, 1)


class Aligner(nn.Module):
    """Boundaries to the points (N, P, 2) that their lines go through, in the crop."""

    def __init__(self, lines: int, points: int, side: int, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [lines, width, 2 * width, 4 * width, 8 * width]
        for a, b in zip(widths[:-1], widths[1:]):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), make_norm("group", b), nn.ReLU(inplace=True)]
        features = 8 * width * (side // 16) ** 2
        layers += [nn.Flatten(), nn.Linear(features, 128), nn.ReLU(inplace=True), nn.Linear(128, 2 * points)]
        self.body = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        return self.body(maps).float().unflatten(1, (-1, 2))


class Transformer(nn.Module):
    """Anybody's boundary as somebody else's: maps and whose they shall be, a resting boundary, to maps.

    CycleGAN's generator (Wu et al., ECCV 2018, Sec. 3.3). Where this departs from the paper: it has a network for each
    person and direction, this is one for all, told whose; and there a sigmoid gives the maps, here a tanh what is added
    to them, so that a training begins at the boundary as it was. (A sigmoid that begins there has next to no gradient
    where a map is dark, which is nearly everywhere: in 200 steps it hadn't moved.) In a training maps may leave [0, 1].
    """

    def __init__(self, lines: int, width: int = 64) -> None:
        super().__init__()
        self.generator = ResNetGenerator(2 * lines, lines, width)
        for parameter in self.generator.body[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, maps: Tensor, whose: Tensor) -> Tensor:
        made = maps + self.generator(torch.cat([maps, whose], 1)).float()
        return made if self.training else made.clamp(0, 1)


class Judge(nn.Module):
    """Whether boundaries are a person's: logits of patches, on the maps' edges (Sobel's two filters of each)."""

    def __init__(self, lines: int, width: int = 64) -> None:
        super().__init__()
        across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
        self.register_buffer("filters", torch.stack([across, across.T])[:, None].repeat(lines, 1, 1, 1))
        self.judge = PatchDiscriminator(lines, 2 * lines, width, norm="instance")
        self.lines = lines

    def forward(self, maps: Tensor, whose: Tensor) -> Tensor:
        edges = F.conv2d(maps, self.filters, padding=1, groups=self.lines)
        return self.judge(self.judge.embed(whose), edges)


class Decoder(nn.Module):
    """Boundaries to the one person's pictures (N, 3, S, S) in [-1, 1].

    Deconvolutions to the picture's size, then a U-Net (Isola et al., CVPR 2017; here with one refinement unit a level).
    """

    def __init__(self, lines: int, size: int, side: int, width: int = 64) -> None:
        super().__init__()
        ups = [nn.ConvTranspose2d(lines, lines, 4, stride=2, padding=1) for _ in range((size // side).bit_length() - 1)]
        self.up = nn.Sequential(*(layer for up in ups for layer in (up, nn.ReLU(inplace=True))))
        self.unet = RefinementUNet(lines, size, width, norm="instance", refinements=1, background=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.unet(self.up(maps))
