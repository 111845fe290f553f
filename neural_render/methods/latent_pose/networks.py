"""Who somebody is and how they hold themselves, as two codes, and a generator that is told both."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks import AdaIN
from neural_render.networks.encoders import MobileEncoder, ResNeXtEncoder
from neural_render.networks.norms import SharedBatchNorm2d

PAPER = 64  # the paper's width


class StyledBlock(nn.Module):
    """AdaIN, ReLU, doubled by the nearest pixel where asked, 3 x 3 convolution; AdaIN, ReLU, 3 x 3; 1 x 1 shortcut."""

    def __init__(self, inputs: int, outputs: int, styles: int, *, double: bool) -> None:
        super().__init__()
        self.double = double
        self.before, self.between = AdaIN(inputs, styles), AdaIN(outputs, styles)
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.two = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y, x = F.relu(self.before(x, style)), self.shortcut(x)  # 1 x 1, which is cheaper before doubling
        if self.double:
            x, y = (F.interpolate(t, scale_factor=2, mode="nearest") for t in (x, y))
        return self.two(F.relu(self.between(self.one(y), style))) + x


class StyledGenerator(nn.Module):
    """Codes (N, codes) to pictures (N, 3, size, size) in [-1.5, 1.5] and foregrounds (N, 1, size, size) in [0, 1].

    A learned constant of 4 x 4, two residual blocks, then a block for each doubling; channels are at most 8 * width,
    and ``width`` at ``size`` px. All scales and shifts come from the codes by way of one hidden layer (Burkov et al.,
    CVPR 2020, Sec. 3.2). Where this departs from the paper: there is no spectral norm, which bounds how much of the
    codes is heard; and they are added to the constant, too, place by place. Scales and shifts are alike at all places,
    and a head that is somewhere else takes long to learn by them alone.
    """

    def __init__(self, codes: int, size: int = 256, width: int = 64) -> None:
        super().__init__()
        levels = size.bit_length() - 3
        if 2 ** (levels + 2) != size or levels < 1:
            raise ValueError(f"size: expected a power of two of at least 8, got {size}")
        channels = [width * min(2**k, 8) for k in range(levels, -1, -1)]
        self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.to_layout = nn.Linear(codes, channels[0] * 16)
        self.to_style = nn.Sequential(nn.Linear(codes, codes), nn.ReLU())
        still = [StyledBlock(channels[0], channels[0], codes, double=False) for _ in range(2)]
        up = [StyledBlock(a, b, codes, double=True) for a, b in zip(channels, channels[1:])]
        self.blocks = nn.ModuleList([*still, *up])
        self.last = AdaIN(width, codes)
        self.to_picture = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        style = self.to_style(codes)
        x = self.constant + self.to_layout(codes).view(len(codes), -1, 4, 4)
        for block in self.blocks:
            x = block(x, style)
        x = torch.tanh(self.to_picture(F.relu(self.last(x, style))).float())
        return 1.5 * x[:, :3], (x[:, 3:] + 1) / 2


class SpreadCodes(nn.Module):
    """An encoder's codes, less their mean over pictures and in standard deviations, by batch normalisation.

    A new encoder's codes are nearly the same whatever it sees. A generator that is told those learns the mean face, and
    stays there.
    """

    def __init__(self, encoder: nn.Module, codes: int) -> None:
        super().__init__()
        self.encoder, self.spread = encoder, SharedBatchNorm2d(codes)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.spread(self.encoder(pictures).float()[..., None, None]).flatten(1)


class LatentPoseNetworks(nn.Module):
    """Both encoders and the generator.

    pose: numbers of a pose's code. A person's has 8 * width, as the discriminator's embeddings have. Encoders narrower
    than the paper's are shallow, too.
    """

    def __init__(self, size: int = 256, width: int = 64, pose: int = 256) -> None:
        super().__init__()
        shallow = width < PAPER
        self.of_person = SpreadCodes(ResNeXtEncoder(8 * width, width, "batch", shallow=shallow), 8 * width)
        self.of_pose = SpreadCodes(MobileEncoder(pose, width, "batch", size, shallow=shallow), pose)
        self.generator = StyledGenerator(8 * width + pose, size, width)

    def people(self, pictures: Tensor) -> Tensor:
        """Each picture's code (N, K, 8 * width), of pictures (N, K, 3, S, S); a person's is the mean."""
        return self.of_person(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])

    def forward(self, pictures: Tensor, posed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (N, K, 3, S, S) of people, others (N, 3, S, S) of poses: as `drawn`, and the first ones' codes."""
        codes = self.people(pictures)
        return *drawn(self.generator, codes.mean(1), self.of_pose(posed)), codes[:, 0]


def drawn(generator: StyledGenerator, person: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (N, ...) to pictures (N, 3, S, S) in [-1, 1], black (-1) behind the foreground, and that (N, 1, S, S)."""
    picture, foreground = generator(torch.cat([person.float(), pose.float()], 1))
    return (picture + 1) * foreground - 1, foreground
