"""Loss terms of image synthesis: functions and small objects that know nothing of networks or training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from foundation.errors import unknown_name


class Adversarial(Protocol):
    """A pair of losses on a discriminator's logits (any shape, positive for real); both are minimised."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...

    def generator(self, fake: Tensor) -> Tensor: ...


class NonSaturating:
    """Binary cross-entropy, the generator with flipped labels (Goodfellow et al., 2014). pix2pix halves the first."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean())

    def generator(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake.float()).mean()


class Hinge:
    """Margins of one for the discriminator, the raw logit for the generator (Lim and Ye, 2017)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean())

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.float().mean()


class LeastSquares:
    """LSGAN: real towards 1, synthesised towards 0 (Mao et al., 2017)."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * ((real.float() - 1).square().mean() + fake.float().square().mean())

    def generator(self, fake: Tensor) -> Tensor:
        return (fake.float() - 1).square().mean()


ADVERSARIAL: dict[str, type[Adversarial]] = {
    "non-saturating": NonSaturating,
    "hinge": Hinge,
    "least-squares": LeastSquares,
}


def adversarial(name: str) -> Adversarial:
    """The adversarial loss of that name; PortraitError, naming the nearest, for an unknown one."""
    if name not in ADVERSARIAL:
        raise unknown_name("adversarial loss", name, ADVERSARIAL)
    return ADVERSARIAL[name]()


def l1(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference; with ``weight`` (N, 1, H, W) >= 0 each picture's weighted mean, averaged over pictures.

    Either way the loss of a batch is the mean of its parts' losses, so that processes can share a batch.
    """
    difference = (image.float() - target.float()).abs()
    if weight is None:
        return difference.mean()
    weight = weight.float().expand_as(difference)
    return ((difference * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-8)).mean()


def feature_matching(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the mean absolute difference of features; the real image's are taken as given.

    Wang et al., pix2pixHD, CVPR 2018, Eq. 4, with the mean in place of the sum over layers.
    """
    return sum(F.l1_loss(a.float(), b.detach().float()) for a, b in zip(made, real, strict=True)) / len(made)
