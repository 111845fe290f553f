"""Patch discriminators: that of pix2pix and Deep Video Portraits, and several of them on a pyramid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks.blocks import Norm, initialize_normal, make_norm


class PatchDiscriminator(nn.Module):
    """Scores overlapping 70 x 70 pixel patches of an image given its condition.

    4 x 4 convolutions, width * (1, 2, 4) of stride 2 and (8) of stride 1, normalisation in all but the first,
    leaky ReLU 0.2, then one logit a patch: 256 pixels give 30 x 30 logits, 128 give 14 x 14.

    The first convolution acts on the condition and the image together. Being linear, it is kept as two
    convolutions whose sum it is, so that what the condition gives (``embed``) is computed once and serves
    the real and the synthesised image; the result is that of one convolution. Where this departs from pix2pix:
    the image's weights begin at ``image_std``. Begun alike, its three channels drown among 99 of condition: in a
    trial on fixed pictures the loss had not moved from chance (0.693) after 160 steps, against 0.587 this way.
    """

    def __init__(
        self, condition: int = 99, image: int = 3, width: int = 64, *, norm: Norm = "batch", image_std: float = 0.46
    ) -> None:
        super().__init__()
        self.from_condition = nn.Conv2d(condition, width, 4, stride=2, padding=1)
        self.from_image = nn.Conv2d(image, width, 4, stride=2, padding=1, bias=False)
        layers: list[nn.Module] = [nn.LeakyReLU(0.2)]
        for a, b, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(width * a, width * b, 4, stride=stride, padding=1, bias=norm == "none"),
                make_norm(norm, width * b),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(nn.Conv2d(width * 8, 1, 4, padding=1))
        self.judge = nn.Sequential(*layers)
        initialize_normal(self)
        nn.init.normal_(self.from_image.weight, 0.0, image_std)

    def embed(self, condition: Tensor) -> Tensor:
        """(N, condition, H, W) -> (N, width, H/2, W/2): the condition's share of the first layer."""
        return self.from_condition(condition)

    def forward(self, embedded: Tensor, image: Tensor) -> Tensor:
        """Logits (N, 1, h, w), positive for real; ``embedded`` comes from ``embed``, image (N, 3, H, W)."""
        return self.features(embedded, image)[-1]

    def features(self, embedded: Tensor, image: Tensor) -> list[Tensor]:
        """The four activations on the way, for feature matching, and the logits last."""
        x, found = embedded + self.from_image(image), []
        for layer in self.judge:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return [*found, x]

    def compare(self, condition: Tensor, fake: Tensor, real: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """``features`` of a synthesised and of a real image (N, 3, H, W) under one condition."""
        embedded = self.embed(condition)
        return self.features(embedded, fake), self.features(embedded, real)


class MultiScaleDiscriminator(nn.Module):
    """The same patch discriminator, with weights of its own, on each level of a pyramid (pix2pixHD, 2018).

    Level k sees condition and image averaged down by 2^k (3 x 3 windows of stride 2 that don't count the padding),
    so its patches are 70 * 2^k pixels wide.
    """

    def __init__(
        self, condition: int = 99, image: int = 3, width: int = 64, *, scales: int = 3, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(PatchDiscriminator(condition, image, width, norm=norm) for _ in range(scales))
        self.condition = condition

    def features(self, condition: Tensor, image: Tensor) -> list[list[Tensor]]:
        """For each level, the finest first, the activations on the way and the logits last."""
        x, found = torch.cat([condition, image], 1), []
        for level in self.levels:
            c, y = x[:, : self.condition], x[:, self.condition :]
            found.append(level.features(level.embed(c), y))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return found

    def forward(self, condition: Tensor, image: Tensor) -> list[Tensor]:
        """Logits of each level, the finest first, positive for real."""
        return [features[-1] for features in self.features(condition, image)]
