"""What goes between the one who gives out clips and those who fit them. Imports nothing heavy: workers begin here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foundation.progress import Event, Report

ATTEMPTS = 3  # how often a clip is tried whose process dies: it goes on from its checkpoint each time
REPORT_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class Clip:
    """A clip of a batch."""

    name: str  # its path in the input folder, with "/"
    path: Path  # absolute
    track: Path  # absolute: the folder for its track

    @property
    def track_name(self) -> str:
        """The track's path in the output folder, with "/"."""
        return (Path(self.name).parent / self.track.name).as_posix()


@dataclass(frozen=True)
class Row:
    """A clip's line in the summary; the figures of a clip that isn't fitted are None."""

    clip: str
    track: str
    status: str = "waiting"  # or fitted, failed
    frames: int | None = None
    tracked: int | None = None  # frames with a face
    uncertain: int | None = None
    mean_confidence: float | None = None  # over all frames; 0 where there is no face
    median_landmark_error: float | None = None  # share of the face's size
    median_photometric_error: float | None = None  # of 255
    seconds: float | None = None  # that the track took, or what came last after a stop
    error: str = ""
    kept: bool = False  # complete before this run; isn't written


News = tuple[Clip, Event | Row]
"""How far a clip is, or what came of it."""

Work = Callable[[Clip, Report], Row]
"""Does a clip and tells how far it is: what workers get. Pickled, so a function of a module, or a partial of one."""


def failed(clip: Clip, error: str) -> Row:
    """The row of a clip that can't be fitted."""
    return Row(clip.name, clip.track_name, "failed", error=" ".join(error.split()))


def now_and_then(send: Report) -> Report:
    """A listener that passes on every new stage, and within a stage an event at most five times a second."""
    last, stage_before = 0.0, ""

    def report(event: Event) -> None:
        nonlocal last, stage_before
        now = time.monotonic()
        if event.stage != stage_before or now - last >= REPORT_EVERY:
            last, stage_before = now, event.stage
            send(event)

    return report
