"""How many threads a piece of work runs on: one, or all, whichever is measured to be worth it; and how they wait.

Threads that spin while they wait for each other are fast on a quiet machine and stand still on a busy one: there a
training step on two cores took 40 times as long as on one. `wait_passively` is called by the command line before torch
is imported; `ThreadChoice` by what is done in steps, training above all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median


def wait_passively() -> None:
    """Threads of OpenMP sleep while they wait; the user's own choice stays. To be called before torch is imported."""
    for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "0"), ("KMP_BLOCKTIME", "0")):
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def threads(count: int | None = None) -> Iterator[None]:
    """Torch on so many threads, None for as many as before; afterwards on as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_threads() -> int:
    """As many as torch may use: OMP_NUM_THREADS where it's set, no more than this process has cores."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(torch.get_num_threads(), cores)


@dataclass(frozen=True)
class ThreadPolicy:
    """When one thread is compared with all, and what all of them have to bring."""

    begin: int = 50  # the step of the first comparison
    every: int = 1000  # steps from one comparison to the next
    steps: int = 4  # of a comparison, on the other number; the first of them isn't timed
    usual: int = 6  # steps before it that they are compared with
    gain: float = 1.25  # all threads have to be so many times as fast as one
    hopeless: float = 2.5  # a timed step on all threads that takes so many times as long as usual ends the comparison
    crowded: float = 1.7  # steps on all threads that take so many times as long as at first: back to one at once


@dataclass
class ThreadChoice:
    """Chooses the number of threads of work that is done in steps, by timing it; begins with one.

    Other numbers of threads add up in another order, which a training magnifies. So comparisons are at fixed steps,
    and what they found is kept with a training's state (`state`, `load`): the number of threads of a step is a
    function of the step and that state.
    """

    most: int
    policy: ThreadPolicy = ThreadPolicy()
    chosen: int = 1
    usual: list[float] = field(default_factory=list)  # seconds of the last steps on the chosen number
    other: list[float] = field(default_factory=list)  # of the comparison's steps, on the other one
    first: float = 0.0  # seconds of a step when the number was chosen
    until: int = 0  # the step after the last comparison

    def count(self, step: int) -> int:
        """Threads of a step."""
        if self._place(step) is None:
            return min(self.chosen, self.most)
        return 1 if self.chosen > 1 else self.most

    def learn(self, step: int, seconds: float) -> None:
        """Takes note of how long a step on its `count` of threads took."""
        if self.most <= 1:
            return
        p, place = self.policy, self._place(step)
        if place is None:
            self.usual = [*self.usual, seconds][-p.usual :]
            if self.chosen > 1 and len(self.usual) == p.usual and median(self.usual) > p.crowded * self.first:
                self._choose(1)
            return
        self.other = [*self.other, seconds]
        if not self.usual or len(self.other) < 2:
            return
        usual, other = median(self.usual), median(self.other[1:])
        if place == p.steps - 1 or (self.chosen == 1 and other > p.hopeless * usual):
            one, together = (usual, other) if self.chosen == 1 else (other, usual)
            self._choose(self.most if p.gain * together <= one else 1)
            self.first, self.other, self.until = together, [], step + p.steps - place

    def _place(self, step: int) -> int | None:
        """Which of a comparison's steps it is, if it's one."""
        place = (step - self.policy.begin) % self.policy.every
        return place if step >= max(self.policy.begin, self.until) and place < self.policy.steps else None

    def _choose(self, count: int) -> None:
        if count != self.chosen:
            self.chosen, self.usual = count, []

    def state(self) -> dict:
        """For JSON: what decides about the steps to come."""
        names = ("chosen", "usual", "other", "first", "until")
        return {name: getattr(self, name) for name in names}

    def load(self, state: dict) -> None:
        """Goes on where `state` was called; {} changes nothing."""
        for name, value in state.items():
            setattr(self, name, value)
