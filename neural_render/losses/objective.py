"""What a generator minimises: loss terms chosen by name, each with its weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from foundation.errors import PortraitError, unknown_name
from neural_render.losses.terms import adversarial, feature_matching, l1


@dataclass(frozen=True)
class Pictures:
    """What a term may look at."""

    made: Tensor  # (N, 3, H, W) in [-1, 1]
    real: Tensor  # the same shape
    weight: Tensor | None = None  # (N, 1, H, W): how much a pixel counts
    on_made: Sequence[Tensor] = field(default_factory=list)  # the discriminator's activations, its logits last
    on_real: Sequence[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class LossOptions:
    """What terms can be told."""

    adversarial: str = "non-saturating"
    vgg: str | None = None  # file of VGG-16's weights; None is torchvision's cache


Term = Callable[[Pictures], Tensor]


@dataclass(frozen=True)
class Loss:
    """One entry of the table: how a term is made, and whether it needs a discriminator."""

    make: Callable[[LossOptions], Term]
    judged: bool = False


def _perceptual(options: LossOptions) -> Term:
    from neural_render.losses.perceptual import Perceptual

    return _OnImages(Perceptual(options.vgg))


class _OnImages(nn.Module):
    """A module of two images as a term."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, p: Pictures) -> Tensor:
        return self.module(p.made, p.real)


def _adversarial(options: LossOptions) -> Term:
    loss = adversarial(options.adversarial)
    return lambda p: loss.generator(p.on_made[-1])


LOSSES: dict[str, Loss] = {
    "l1": Loss(lambda _: lambda p: l1(p.made, p.real, p.weight)),
    "perceptual": Loss(_perceptual),
    "adversarial": Loss(_adversarial, judged=True),
    "feature-matching": Loss(lambda _: lambda p: feature_matching(p.on_made[:-1], p.on_real[:-1]), judged=True),
}
"""Loss terms by name. A new one is an entry here: a function of ``LossOptions`` that gives one of ``Pictures``."""


def check_losses(weights: Mapping[str, float], options: LossOptions) -> None:
    """PortraitError for an unknown loss, a negative weight, or a file that one of them needs and that isn't there."""
    for name, weight in weights.items():
        if name not in LOSSES:
            raise unknown_name("loss", name, LOSSES)
        if not weight >= 0:
            raise PortraitError(f"loss '{name}': expected a weight of at least 0, got {weight}")
    if weights.get("perceptual"):
        from neural_render.losses.perceptual import find_weights

        find_weights(options.vgg)
    adversarial(options.adversarial)


class Objective:
    """A weighted sum of terms; those that need a discriminator's activations can be taken apart from the others.

    weights: by name, >= 0; a term of weight zero isn't made. PortraitError as ``check_losses``.
    """

    def __init__(self, weights: Mapping[str, float], options: LossOptions, device: object = "cpu") -> None:
        check_losses(weights, options)
        self.weights = {name: float(weight) for name, weight in weights.items() if weight != 0}
        self.terms: dict[str, Term] = {}
        for name in self.weights:
            term = LOSSES[name].make(options)
            self.terms[name] = term.to(device) if isinstance(term, nn.Module) else term

    @property
    def judged(self) -> bool:
        """Whether any term needs a discriminator."""
        return any(LOSSES[name].judged for name in self.terms)

    def __call__(self, pictures: Pictures, *, judged: bool) -> tuple[Tensor | float, dict[str, Tensor]]:
        """The weighted sum of the terms that do, or don't, need a discriminator, and each one unweighted."""
        values = {name: term(pictures) for name, term in self.terms.items() if LOSSES[name].judged == judged}
        return sum(self.weights[name] * value for name, value in values.items()), values
