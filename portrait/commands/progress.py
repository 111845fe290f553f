"""The command line's listener: progress with the time left, notes and parts that are done, as lines on the terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from foundation.progress import Event

LOG_EVERY = 15.0  # seconds between two lines where there is no terminal


def say(text: str) -> None:
    """A line of a command's own output."""
    print(text, flush=True)


def tell(result: object) -> None:
    """What a service's result says of itself; notes were said when they came."""
    for line in result.lines() if hasattr(result, "lines") else ():
        say(line)


def bars(*columns, **options):
    """`rich.progress.Progress` on stderr: a task's description, its bar, these columns, the time left and spent."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *columns)
    times = (TextColumn("left"), TimeRemainingColumn(), TextColumn("after"), TimeElapsedColumn())
    return Progress(*columns, *times, console=Console(stderr=True), transient=True, **options)


class Progress:
    """Shows events as they come, as a context manager and a `foundation.progress.Report`.

    On a terminal it draws a bar on stderr. Elsewhere it prints plain lines to stdout, at most every 15 seconds, so that
    stderr holds nothing but an error.
    """

    def __init__(self) -> None:
        self._bar = None
        self._task, self._title = None, ""
        self._began = self._logged = time.monotonic()
        self._start = 0.0  # what was done already when the task began, by an earlier run

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.progress import MofNCompleteColumn, TextColumn

            self._bar = bars(MofNCompleteColumn(), TextColumn("{task.fields[note]}", markup=False))
            self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Shows an event; another stage is another task, and begins its clock anew."""
        if hasattr(event, "result"):  # `portrait.services.events`, which isn't imported for this
            tell(event.result)
        elif type(event).__name__ == "Begun":
            say(f"{int(event.done) + 1}/{event.total} {event.stage}{f', {event.note}' if event.note else ''}")
        elif type(event).__name__ == "Noted":
            say(f"  note: {event.note}")
        else:
            self._advance(event)

    def _advance(self, event: Event) -> None:
        now, done, total, note = time.monotonic(), event.done, event.total, event.note
        if event.stage != self._title:
            self._title, self._began, self._logged, self._start = event.stage, now, now, done
            if self._bar is not None:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(event.stage, total=total, completed=done, note=note)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)
        elif now - self._logged >= LOG_EVERY:
            self._logged = now
            share = f" of {_amount(total, event.unit)}" if total else ""
            print(
                f"  {event.stage}: {_amount(done, event.unit)}{share}{self._left(event, now)}"
                f"{f' ({note})' if note else ''}",
                flush=True,
            )

    def _left(self, event: Event, now: float) -> str:
        """The time left, by the pace since this run took the stage up."""
        seconds = replace(event, begun=max(event.begun, self._start)).left(now - self._began)
        return "" if seconds is None else f", {_clock(seconds)} left"


def _amount(value: float, unit: str) -> str:
    return f"{value:.0f} s" if unit == "s" else f"{value:g}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
