"""What a generator minimises: losses chosen by name, each with its weight."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from foundation.errors import PortraitError
from neural_render.losses.base import LOSSES, Context, Options, Term

FILES = ("vgg",)
"""Options that name files, whether or not a loss among those that are wanted reads them."""


def check_losses(weights: Mapping[str, float], options: Options) -> None:
    """PortraitError for an unknown loss, a weight below 0, or options that one of them can't be made with."""
    for name, weight in weights.items():
        loss = LOSSES[name]
        if not weight >= 0:
            raise PortraitError(f"loss '{name}': expected a weight of at least 0, got {weight}")
        if weight:
            loss.check(options)
    for name, value in options.items():
        if name in FILES and value is not None and not os.path.isfile(value):
            raise PortraitError(f"{name} '{value}': expected a file, found none; check the name")


class Objective:
    """A weighted sum of losses, of which those can be taken alone that need the same.

    weights: by name, >= 0; a loss of weight zero isn't made. given: what contexts will have, for a method that doesn't
    have everything. PortraitError as ``check_losses``, and for a loss that needs what isn't given.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        options: Options,
        device: object = "cpu",
        given: Iterable[str] = (),
    ) -> None:
        check_losses(weights, options)
        self.weights = {name: float(weight) for name, weight in weights.items() if weight != 0}
        self.terms: dict[str, Term] = {}
        for name in self.weights:
            missing = set(LOSSES[name].needs) - set(given)
            if missing:
                raise PortraitError(
                    f"loss '{name}': needs {', '.join(sorted(missing))}, which this training doesn't have; leave it out"
                )
            term = LOSSES[name].make(options)
            self.terms[name] = term.to(device) if isinstance(term, nn.Module) else term

    def needing(self, extra: str) -> tuple[str, ...]:
        """Names of the losses that look at something."""
        return tuple(name for name in self.terms if extra in LOSSES[name].needs)

    def __call__(
        self, context: Context, names: Iterable[str] | None = None
    ) -> tuple[Tensor | float, dict[str, Tensor]]:
        """The weighted sum of the losses of these names, all by default, and each one unweighted."""
        values = {name: self.terms[name](context) for name in (self.terms if names is None else names)}
        return sum(self.weights[name] * value for name, value in values.items()), values
