"""How a long job says how far it is: events, which a bar, a log, a web page or nobody may listen to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """How far a stage of a job is."""

    stage: str  # "tracking", "training"
    done: float
    total: float | None  # None where it isn't known
    unit: str = "frames"  # of both: "frames", "steps", "pictures", "s"
    note: str = ""
    begun: float = 0.0  # what of `done` had been there before, where a stopped job goes on

    def left(self, elapsed: float) -> float | None:
        """Seconds left of a stage that has been at it for ``elapsed`` seconds; None where it can't be told yet."""
        if self.total is None or self.done <= self.begun:
            return None
        return elapsed * max(0.0, self.total - self.done) / (self.done - self.begun)


Report = Callable[[Event], None]
"""Who listens. It returns quickly and raises nothing, except KeyboardInterrupt to stop the job."""


def ignore(event: Event) -> None:
    """The `Report` of those who don't want to know."""


def counted(items: Iterable[T], report: Report, stage: str, total: int | None, unit: str = "frames") -> Iterator[T]:
    """The items, with an event before each, and one at the end."""
    event = Event(stage, 0, total, unit)
    for done, item in enumerate(items):
        report(replace(event, done=done))
        yield item
    if total is not None:
        report(replace(event, done=total))
