"""The patch discriminator of pix2pix and Deep Video Portraits."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import Norm, initialize_normal, make_norm

IMAGE_STD = 0.46


class PatchDiscriminator(nn.Module):
    """Judges overlapping 70 x 70 pixel patches of an image given its condition.

    4 x 4 convolutions, width * (1, 2, 4) of stride 2 and (8) of stride 1, normalisation in all but the first,
    leaky ReLU 0.2, then one logit a patch: 256 pixels give 30 x 30 logits, 128 give 14 x 14.

    The first convolution acts on the condition and the image together. Being linear, it is kept as two
    convolutions whose sum it is, so that what the condition gives (``embed``) is computed once and serves
    the real and the synthesised image; the result is that of one convolution. Where this departs from pix2pix:
    the image's weights begin at ``IMAGE_STD``. Begun alike, its three channels drown among 99 of condition: in a
    trial on fixed pictures the loss had not moved from chance (0.693) after 160 steps, against 0.587 this way.
    """

    def __init__(self, condition: int = 99, image: int = 3, width: int = 64, *, norm: Norm = "batch") -> None:
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
        nn.init.normal_(self.from_image.weight, 0.0, IMAGE_STD)

    def embed(self, condition: Tensor) -> Tensor:
        """(N, condition, H, W) -> (N, width, H/2, W/2): the condition's share of the first layer."""
        return self.from_condition(condition)

    def forward(self, embedded: Tensor, image: Tensor) -> Tensor:
        """Logits (N, 1, h, w), positive for real; ``embedded`` comes from ``embed``, image (N, 3, H, W)."""
        return self.judge(embedded + self.from_image(image))
