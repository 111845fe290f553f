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
    identity_grid,
    make_norm,
)

REACH = 0.05  # of half a crop, by which an output of 1 moves a point: a step of Adam's is not to move it further
NEAR = 0.06  # of half a crop, in which points lead what is around them
FAINT = 0.1  # what is less of a boundary isn't a line
THIN = 1e-4  # added to a line's variances


class BoundaryEncoder(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] to the boundaries of both stacks: scores, which may leave [0, 1]."""

    def __init__(self, lines: int, size: int, side: int, width: int = 64) -> None:
        super().__init__()
        self.hourglass = StackedHourglass(lines, 4 * width, reduction=size // side)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [maps.float() for maps in self.hourglass(pictures)]

    def boundary(self, pictures: Tensor) -> Tensor:
        return self(pictures)[-1].clamp(0, 1)


def moments(maps: Tensor) -> Tensor:
    """(N, 8 K) of maps (N, K, H, H): where each line's middle is, how far it reaches, how it leans and bends.

    Of what is brighter than ``FAINT``, squared: the mean place, the deviations, the covariance over each of these, and
    the third moments that a curve has across its length, over the variances.
    """
    weight = (maps.float() - FAINT).clamp_min(0).square()
    x, y = identity_grid(*maps.shape[-2:], device=maps.device).unbind(-1)
    mean = lambda t: (weight * t).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1e-3)  # noqa: E731
    middle_x, middle_y = mean(x), mean(y)
    u, v = x - middle_x[..., None, None], y - middle_y[..., None, None]
    xx, yy, xy = mean(u * u) + THIN, mean(v * v) + THIN, mean(u * v)
    wide, high = xx.sqrt(), yy.sqrt()
    told = [middle_x, middle_y, wide, high, xy / wide, xy / high, mean(u * u * v) / xx, mean(v * v * u) / yy]
    return torch.cat(told, 1)


class Aligner(nn.Module):
    """Boundaries to the points (N, P, 2) that their lines go through, in the crop.

    A linear map of the lines' moments, which is the least squares of drawn lines once ``begin`` has made it that; and
    a network of the maps beside it, which begins at nothing.
    """

    def __init__(self, lines: int, points: int, side: int, width: int = 16) -> None:
        super().__init__()
        self.register_buffer("straight", torch.zeros(8 * lines + 1, 2 * points))
        self.register_buffer("middle", torch.zeros(8 * lines))
        self.register_buffer("spread", torch.ones(8 * lines))
        layers: list[nn.Module] = []
        widths = [lines, width, 2 * width, 4 * width, 8 * width]
        for a, b in zip(widths[:-1], widths[1:]):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), make_norm("group", b), nn.ReLU(inplace=True)]
        features = 8 * width * (side // 16) ** 2
        layers += [nn.Flatten(), nn.Linear(features, 128), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.bent = nn.Linear(128 + 8 * lines, 2 * points)
        for parameter in self.bent.parameters():
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def begin(self, maps: Tensor, points: Tensor) -> None:
        """Least squares of lines drawn through points (N, P, 2)."""
        told = moments(maps)
        self.middle.copy_(told.mean(0))
        self.spread.copy_(told.std(0).clamp_min(1e-3))
        self.straight.copy_(linear_map(told.double(), points.flatten(1).double()))

    def forward(self, maps: Tensor) -> Tensor:
        told = moments(maps)
        bent = self.bent(torch.cat([self.body(maps).float(), (told - self.middle) / self.spread], 1))
        return (applied(self.straight, told) + REACH * bent.float()).unflatten(1, (-1, 2))


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
