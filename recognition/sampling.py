"""Which pictures a training step sees: a pure function of seed and step, so that a resumed training sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Batches:
    """Batches of (index, mirrored), for the steps from ``first`` to before ``last``; a PyTorch batch sampler.

    Epochs are permutations, joined without a remainder, so that every process has batches of one size. balanced: an
    identity is drawn first, then one of its pictures, so that a folder of a thousand counts as much as one of ten.
    """

    labels: np.ndarray  # (N,)
    batch: int  # of this process
    first: int
    last: int
    seed: int
    balanced: bool = False
    rank: int = 0
    processes: int = 1

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[tuple[int, bool]]]:
        members = [np.flatnonzero(self.labels == k) for k in np.unique(self.labels)] if self.balanced else []
        epoch, order = -1, np.empty(0, np.int64)
        for step in range(self.first, self.last):
            draw = np.random.default_rng([self.seed, 0, step])
            chosen = np.empty(self.batch * self.processes, np.int64)
            for slot, place in enumerate(range(step * len(chosen), (step + 1) * len(chosen))):
                if self.balanced:
                    chosen[slot] = draw.choice(members[draw.integers(len(members))])
                    continue
                if place // len(self.labels) != epoch:
                    epoch = place // len(self.labels)
                    order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.labels))
                chosen[slot] = order[place % len(self.labels)]
            mirrored = draw.random(len(chosen)) < 0.5
            own = slice(self.rank * self.batch, (self.rank + 1) * self.batch)
            yield list(zip(chosen[own].tolist(), mirrored[own].tolist()))
