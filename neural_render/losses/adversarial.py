"""Adversarial losses: pairs, one for the discriminator and one for the generator, by name."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from foundation.registry import Registry
from neural_render.losses.base import LOSSES, Loss, Options, Term


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


ADVERSARIAL: Registry[type[Adversarial]] = Registry("adversarial loss")
ADVERSARIAL.add("non-saturating", NonSaturating)
ADVERSARIAL.add("hinge", Hinge)
ADVERSARIAL.add("least-squares", LeastSquares)


def adversarial(name: str = "non-saturating") -> Adversarial:
    """The adversarial loss of that name; PortraitError, naming the nearest, for an unknown one."""
    return ADVERSARIAL[name]()


def _chosen(options: Options) -> Adversarial:
    return adversarial(options.get("adversarial") or "non-saturating")


def _term(options: Options) -> Term:
    pair = _chosen(options)
    return lambda c: pair.generator(c["on_made"][-1])


LOSSES.add("adversarial", Loss(_term, ("on_made",), _chosen))
