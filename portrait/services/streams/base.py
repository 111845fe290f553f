"""What a stream is given and does; `portrait.services.outlet` opens those that were asked for and calls them.

An implementation calls ``STREAMS.add(name, open)``; ``open(where)`` takes what a user typed and returns a `Stream`, or
raises PortraitError before any work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from foundation.registry import Registry


@dataclass(frozen=True)
class Performed:
    """A frame of somebody's performance."""

    index: int  # from 0, of the source's frames; some are left out where tracking doesn't keep up
    seconds: float  # after the source's first frame
    tracked: bool  # whether a face was found and fitted
    curves: Mapping[str, float]
    """As `facemodel.editing.curves` has them: ARKit's 52 and nine angles (rad). Without a face the last ones known;
    empty before the first."""
    calibrated: bool = False


class Stream(Protocol):
    """Takes frames as they come, and never waits for who receives them."""

    def send(self, frame: Performed) -> None:
        """A packet, a row; one for a frame without a face too, which says so where its format can."""

    def close(self) -> None:
        """Ends it; what was sent stays."""

    def lines(self) -> list[str]:
        """What there is to say in the end."""


STREAMS: Registry[Callable[[str], Stream]] = Registry("live stream", "portrait.services.streams")
