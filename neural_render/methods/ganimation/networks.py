"""GANimation's generator, which says what stays and how the rest looks, and its critics, of units and of looks."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.losses.wasserstein import between, gradient_penalty
from neural_render.networks import AdaIN, initialize_normal, make_norm
from neural_render.networks.blocks import Norm


class Edit(NamedTuple):
    """What the generator makes of pictures (N, 3, H, W) in [-1, 1]."""

    picture: Tensor  # (N, 3, H, W) in [-1, 1]
    kept: Tensor  # (N, 1, H, W) in [0, 1]: how much of a pixel stays, 1 for all; the paper's attention mask
    colours: Tensor  # (N, 3, H, W) in [-1, 1]: what takes the rest's place


SLOW = 0.1
"""Times what the heads say: a step of Adam's changes all their weights, and would close a mask in tens of steps."""


class UnitScale(nn.Module):
    """Units (N, K), 0 to 1, as networks get and give them: less their mean in a corpus, in standard deviations."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(units))
        self.register_buffer("spread", torch.ones(units))

    def told(self, units: Tensor) -> Tensor:
        return (units - self.middle) / self.spread

    def meant(self, told: Tensor) -> Tensor:
        return self.middle + self.spread * told


class UnitBlock(nn.Module):
    """A residual block whose instance normalisations get their scales and shifts from units (N, K) on their scale."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.after_one, self.after_two = AdaIN(channels, units), AdaIN(channels, units)

    def forward(self, x: Tensor, units: Tensor) -> Tensor:
        y = F.relu(self.after_one(self.one(x), units))
        return x + self.after_two(self.two(y), units)


class EditGenerator(nn.Module):
    """A picture and the units that it should show to an edit (Pumarola et al., ECCV 2018, Sec. 4.1 and 5.1).

    c7-64, d128, d256, six residual blocks, u128, u64, then two 7 x 7 heads: colours and what is kept. 4 x 4
    convolutions of stride 2 and as many deconvolutions, instance normalisation. Channels scale with ``width``, 64 in
    the paper. H and W are multiples of four.

    Units enter as planes beside the picture. The first convolution's share of a plane is one number at every pixel, so
    it is kept as a linear layer (the zeros around the planes aside). Where this departs from the paper: instance
    normalisation takes just such a number away, so there is none after the first convolution, and units also scale and
    shift what the residual blocks have normalised; units are on their `UnitScale`; and colours are the picture with
    something added, which begins at nothing. Colours that have to be painted first are nowhere as good as the picture,
    and the mask closes over them.
    """

    def __init__(self, units: int, width: int = 64, blocks: int = 6) -> None:
        super().__init__()

        def finish(channels: int) -> list[nn.Module]:
            return [make_norm("instance", channels), nn.ReLU(inplace=True)]

        self.from_picture = nn.Conv2d(3, width, 7, padding=3)
        self.from_units = nn.Linear(units, width, bias=False)
        self.scale = UnitScale(units)
        down: list[nn.Module] = [nn.ReLU(inplace=True)]
        for a in (width, 2 * width):
            down += [nn.Conv2d(a, 2 * a, 4, stride=2, padding=1, bias=False), *finish(2 * a)]
        up: list[nn.Module] = []
        for a in (4 * width, 2 * width):
            up += [nn.ConvTranspose2d(a, a // 2, 4, stride=2, padding=1, bias=False), *finish(a // 2)]
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up)
        self.blocks = nn.ModuleList(UnitBlock(4 * width, units) for _ in range(blocks))
        self.to_colours = nn.Conv2d(width, 3, 7, padding=3, bias=False)
        self.to_kept = nn.Conv2d(width, 1, 7, padding=3, bias=False)
        initialize_normal(self)
        nn.init.zeros_(self.to_colours.weight)
        nn.init.normal_(self.from_units.weight, 0.0, 0.03)  # so that picture and units say as much at first

    def forward(self, picture: Tensor, units: Tensor) -> Edit:
        """picture (N, 3, H, W) in [-1, 1]; units (N, K), 0 to 1."""
        x = self.features(picture, units)
        kept, painted = torch.sigmoid(SLOW * self.to_kept(x).float()), torch.tanh(SLOW * self.to_colours(x).float())
        colours = (picture.float() + painted).clamp(-1, 1)
        return Edit(torch.lerp(colours, picture.float(), kept), kept, colours)

    def features(self, picture: Tensor, units: Tensor) -> Tensor:
        """(N, width, H, W): what the heads are told."""
        told = self.scale.told(units)
        x = self.down(self.from_picture(picture) + self.from_units(told)[..., None, None])
        for block in self.blocks:
            x = block(x, told)
        return self.up(x)

    def there_and_back(self, picture: Tensor, wanted: Tensor, own: Tensor) -> tuple[Edit, Edit]:
        """The edit, and the edit of its picture that should undo it."""
        there = self(picture, wanted)
        return there, self(there.picture, own)


def halving(size: int, width: int, norm: Norm) -> tuple[nn.Sequential, int]:
    """4 x 4 convolutions that halve pictures of ``size`` px down to 2 px, with leaky ReLU 0.01; and their channels.

    ``width`` * (1, 2, 4, ...) channels, up to 32 times (the paper's six layers are for 128 px).
    """
    levels = size.bit_length() - 2
    if 2 ** (levels + 1) != size or levels < 2:
        raise ValueError(f"size: expected a power of two of at least 8, got {size}")
    layers: list[nn.Module] = []
    for a, b in zip([3, *(width * 2**k for k in range(levels - 1))], (width * 2**k for k in range(levels))):
        layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), make_norm(norm, b), nn.LeakyReLU(0.01)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):  # pix2pix's start is for wide layers: without norms narrow ones go silent
            nn.init.kaiming_normal_(layer.weight, 0.01)
    return nn.Sequential(*layers), width * 2 ** (levels - 1)


class UnitCritic(nn.Module):
    """Pictures (N, 3, S, S) to the units that they show (N, K).

    Units are told on their `UnitScale`, over the root of how many features tell them: a step of Adam's moves all those
    features' weights, and what it moves the reading by is otherwise many times what there is to read.
    """

    def __init__(self, units: int, size: int = 128, width: int = 64) -> None:
        super().__init__()
        self.body, last = halving(size, width, "group")
        self.to_units = nn.Conv2d(last, units, 2, bias=False)
        nn.init.kaiming_normal_(self.to_units.weight, 0.01)
        self.scale = UnitScale(units)

    def forward(self, pictures: Tensor) -> Tensor:
        told = self.to_units(self.body(pictures)).float().flatten(1) / self.to_units.weight[0].numel() ** 0.5
        return self.scale.meant(told)


class Judge(nn.Module):
    """Pictures (N, 3, S, S) to scores of patches (N, 1, 2, 2), higher for real ones."""

    def __init__(self, size: int = 128, width: int = 64) -> None:
        super().__init__()
        self.body, last = halving(size, width, "none")
        self.to_score = nn.Conv2d(last, 1, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.to_score.weight, 0.01)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.to_score(self.body(pictures)).float()

    def compare(self, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of N real pictures and of N made ones, and the gradient penalty between them."""
        real, made = real.float(), made.float()
        mixed = between(real, made)
        on_mixed, on_made, on_real = self(torch.cat([mixed, made, real])).chunk(3)
        return on_real, on_made, gradient_penalty(on_mixed, mixed)
