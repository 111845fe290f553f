"""Loss terms of image synthesis. Each is a small object, chosen by name, that knows nothing of networks."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from facemodel.errors import unknown_name


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
    """Mean absolute difference; with ``weight`` (N, 1, H, W) >= 0 the weighted mean."""
    difference = (image.float() - target.float()).abs()
    if weight is None:
        return difference.mean()
    weight = weight.float().expand_as(difference)
    return (difference * weight).sum() / weight.sum().clamp_min(1e-8)
