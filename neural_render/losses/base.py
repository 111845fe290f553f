"""What a loss is: a function of a context, by name in a registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from foundation.registry import Registry


@dataclass(frozen=True)
class Context:
    """What a loss may look at: pictures, and what else a method gives by name.

    Names that methods use: "weight" (N, 1, H, W), how much a pixel counts; "on_made", "on_real", a discriminator's
    activations, its logits last; "embedded_made", "embedded_real" (N, D), another network's features; masks, landmarks.
    """

    made: Tensor  # (N, 3, H, W) in [-1, 1]
    real: Tensor  # the same shape
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.extras[name]

    def get(self, name: str) -> Any:
        """None where it isn't given."""
        return self.extras.get(name)


Term = Callable[[Context], Tensor]
"""Each is a mean over the batch's pictures: with several processes gradients are averaged, and so a step of all of them
is that of one."""
Options = Mapping[str, Any]
"""What a training tells its losses by name, as "vgg" or "adversarial"; each reads what it knows."""


@dataclass(frozen=True)
class Loss:
    """One entry of the registry."""

    make: Callable[[Options], Term]  # a torch module, if the term has weights
    needs: tuple[str, ...] = ()  # names of a context's extras that have to be there
    check: Callable[[Options], object] = lambda _: None  # PortraitError for options that it can't be made with

    @classmethod
    def of(cls, term: Term, *needs: str) -> Loss:
        """Of a function that needs to be told nothing."""
        return cls(lambda _: term, needs)


LOSSES: Registry[Loss] = Registry("loss", package="neural_render.losses")
"""A `Loss` by name; the files of this package add theirs."""
