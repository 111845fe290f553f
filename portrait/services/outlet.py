"""What is tracked, on its way out: the curves of each frame, calibrated, to every stream, and how long that took.

`portrait.services.live` calls an `Outlet` on the tracker's own thread, as soon as a frame is fitted: nothing waits in a
queue behind it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from facemodel import FaceModel, PortraitError
from facemodel.editing.contact import Contacts
from facemodel.editing.curves import frame_columns
from facemodel.editing.online_mixing import Reference
from fitting.tracking.online import OnlineFrame, OnlineTracker
from portrait.services.calibrating import Calibrator
from portrait.services.streams.base import STREAMS, Performed, Stream

Wanted = Sequence[tuple[str, str]]
"""Names of `STREAMS`, and where each goes."""


@dataclass
class Latencies:
    """Seconds from a frame's arrival to its last packet, of frames with a face."""

    seconds: list[float] = field(default_factory=list)
    absent: int = 0  # frames without a face, or before identity is known

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return 1000 * float(np.percentile(self.seconds, share))

    def lines(self) -> list[str]:
        """What there is to say of it."""
        absent = f"; {self.absent} without a face, or before identity was known" if self.absent else ""
        if not self.seconds:
            return [f"sent: no frame with a face{absent}"]
        return [
            f"from frame to packet: {self.percentile(50):.0f} ms (median), {self.percentile(95):.0f} ms (95 %), over "
            f"{len(self.seconds)} frames with a face{absent}"
        ]


class Outlet:
    """Open streams, and what goes to them; a context manager.

    Raises:
        PortraitError: a model without ARKit's names, a stream that can't be opened.
    """

    def __init__(
        self, wanted: Wanted, model: FaceModel, calibrator: Calibrator, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        if not model.arkit:
            raise PortraitError(f"model '{model.name}': has no ARKit names, which streams send; use another")
        self.model, self.calibrator, self.latencies, self._clock = model, calibrator, Latencies(), clock
        self.streams: list[Stream] = []
        self._contacts: Contacts | None = None
        self._known = False  # whether identity is, and so contacts are
        self.last: dict[str, float] = {}
        """Curves of the last frame with a face."""
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            for name, where in wanted:
                self.streams.append(STREAMS[name](where))
                stack.callback(self.streams[-1].close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Outlet:
        return self

    def __exit__(self, *trouble) -> None:
        self._stack.__exit__(*trouble)

    def __call__(self, index: int, seconds: float, arrived: float, found: OnlineFrame, tracker: OnlineTracker) -> None:
        """A frame of the source, which came at ``arrived`` of the clock, and what the tracker made of it."""
        if tracker.first is not None and not self._known:
            self._contacts, self._known = Reference.of_frames(tracker.first, self.model).contacts, True
        tracked = found.parameters is not None
        if tracked:
            self.last = self._curves(found)
        calibrated = self.calibrator.calibration is not None
        frame = Performed(index, seconds, tracked, self.last, calibrated)
        for stream in self.streams:
            stream.send(frame)
        if tracked:
            self.latencies.seconds.append(self._clock() - arrived)
            self.calibrator(found.parameters, seconds, self.model, self._contacts)
        else:
            self.latencies.absent += 1

    def _curves(self, found: OnlineFrame) -> dict[str, float]:
        frame, calibration = found.parameters.map(lambda value: value[None]), self.calibrator.calibration
        if calibration is None:
            columns = frame_columns(frame, self.model, self._contacts)
        else:
            columns = calibration.scaled(frame_columns(calibration.relative(frame), self.model, self._contacts))
        return {name: float(column[0]) for name, column in columns.items()}

    def lines(self) -> list[str]:
        """What went where, and how long it took."""
        return [*self.latencies.lines(), *(line for stream in self.streams for line in stream.lines())]
