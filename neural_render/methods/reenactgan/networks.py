"""ReenactGAN's networks between pictures and boundaries, which are maps (N, K, H, H) in [0, 1] of a face's K lines."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.methods.common.carrying import carried
from neural_render.methods.common.linear_map import applied, linear_map
from neural_render.networks import (
    PatchDiscriminator,
    RefinementUNet,
    ResNetGenerator,
    StackedHourglass,
    make_norm,
)

REACH = 0.05  # of half a crop, by which an output of 1 moves a point: a step of Adam's is not to move it further
NEAR = 0.06  # of half a crop, in which points lead what is around them


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
    """Boundaries to the points (N, P, 2) that their lines go through, in the crop; it begins at ``mean`` (P, 2)."""

    def __init__(self, lines: int, points: int, side: int, width: int = 16) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(points, 2))
        layers: list[nn.Module] = []
        widths = [lines, width, 2 * width, 4 * width, 8 * width]
        for a, b in zip(widths[:-1], widths[1:]):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), make_norm("group", b), nn.ReLU(inplace=True)]
        features = 8 * width * (side // 16) ** 2
        layers += [nn.Flatten(), nn.Linear(features, 128), nn.ReLU(inplace=True), nn.Linear(128, 2 * points)]
        self.body = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        return self.mean + REACH * self.body(maps).float().unflatten(1, (-1, 2))


class Moved(NamedTuple):
    """A boundary made somebody else's."""

    maps: Tensor  # (N, K, H, H)
    points: Tensor  # (N, P, 2) that its lines go through


class Transformer(nn.Module):
    """Anybody's boundary as somebody else's, told by that person's boundary at rest.

    CycleGAN's generator (Wu et al., ECCV 2018, Sec. 3.3). Where this departs from the paper: it has a network for each
    person and direction, this is one for all, told whose. And there the generator gives the maps, through a sigmoid;
    here it gives, through a tanh, what is added to a boundary that was carried to the other face's points. Lines are a
    pixel or two wide, and a generator alone learns first that one in the wrong place is wrong, and to draw none.

    Where points move is told by a linear map, which is none before ``begin`` makes it the least squares of pairs, and
    by two layers beside it, which begin at nothing as the generator does. In a training maps may leave [0, 1].
    """

    def __init__(self, lines: int, points: int, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("straight", torch.zeros(4 * points + 1, 2 * points))
        self.bent = nn.Sequential(
            nn.Linear(4 * points, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 16 * width), nn.LeakyReLU(0.2),
            nn.Linear(16 * width, 2 * points),
        )  # fmt: skip
        self.generator = ResNetGenerator(2 * lines, lines, width)
        for layer in (self.bent[-1], self.generator.body[-1]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    @torch.no_grad()
    def begin(self, points: Tensor, resting: Tensor, wanted: Tensor) -> None:
        """Least squares of points (N, P, 2), other people's points at rest, and those wanted of them."""
        x = torch.cat([points, resting], 1).flatten(1).double()
        self.straight.copy_(linear_map(x, (wanted - points).flatten(1).double()))

    def moved(self, points: Tensor, resting: Tensor) -> Tensor:
        """Points (N, P, 2) as people have them whose own at rest are those."""
        x = torch.cat([points, resting], 1).flatten(1)
        return points + (applied(self.straight, x) + REACH * self.bent(x).float()).view_as(points)

    def forward(self, maps: Tensor, points: Tensor, whose: Tensor, resting: Tensor) -> Moved:
        """maps (N, K, H, H) whose lines go through points (N, P, 2); whose and resting: the others' at rest."""
        wanted = self.moved(points, resting)
        moved = carried(maps, points, wanted, NEAR)
        made = moved + self.generator(torch.cat([moved, whose], 1)).float()
        return Moved(made if self.training else made.clamp(0, 1), wanted)


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
