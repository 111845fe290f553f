"""Random numbers, from torch's generators or from numpy's.

Clips draw from the one and stills from the other: a seed's pictures stay what they were when data sets, weights and
figures were made of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor


def uniform(g: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=g))


class Chance:
    """Draws from a torch generator."""

    def __init__(self, g: Generator) -> None:
        self.g = g

    def uniform(self, low: float, high: float) -> float:
        return uniform(self.g, low, high)

    def whole(self, low: int, high: int) -> int:
        """From ``low`` to ``high`` - 1."""
        return int(self.uniform(low, high))

    def normal(self, count: int, within: float) -> Tensor:
        """(count,): standard normal, clamped to ``within``."""
        return torch.randn(count, generator=self.g).clamp(-within, within)


class NumpyChance(Chance):
    """Draws from a numpy generator."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.draw = draw

    def uniform(self, low: float, high: float) -> float:
        return self.draw.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        return int(self.draw.integers(low, high))

    def normal(self, count: int, within: float) -> Tensor:
        return torch.from_numpy(self.draw.standard_normal(count).clip(-within, within))
