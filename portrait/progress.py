"""Progress with the time left: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY = 15.0  # seconds between two lines where there is no terminal


class Progress:
    """Shows how far a job is, as a context manager; one task is under way at a time.

    On a terminal it draws on stderr. Elsewhere it prints plain lines to stdout, at most every 15 seconds, so that
    stderr holds nothing but an error.
    """

    def __init__(self) -> None:
        self._bar = None
        self._task, self._title = None, ""
        self._began = self._logged = time.monotonic()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
            )
            left = (TextColumn("left"), TimeRemainingColumn(), TextColumn("after"), TimeElapsedColumn())
            self._bar = Bar(*columns, *left, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: float, total: float | None, title: str, note: str = "") -> None:
        """``done`` of ``total`` (None where it isn't known) of the task ``title``; another title is another task.

        Whole numbers count things, others seconds.
        """
        now = time.monotonic()
        if title != self._title:
            self._title, self._began, self._logged = title, now, now
            if self._bar is not None:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(title, total=total, note=note)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)
        elif now - self._logged >= LOG_EVERY:
            self._logged = now
            share = f" of {_amount(total)}" if total else ""
            left = f", {_clock((now - self._began) * (total - done) / done)} left" if total and done else ""
            print(f"  {title}: {_amount(done)}{share}{left}{f' ({note})' if note else ''}", flush=True)

    def over(self, items: Iterable[T], total: int | None, title: str) -> Iterator[T]:
        """The items, counted."""
        for done, item in enumerate(items):
            self.update(done, total, title)
            yield item


def say(text: str) -> None:
    """A line of a command's own output."""
    print(text, flush=True)


def _amount(value: float) -> str:
    return f"{value:.0f} s" if isinstance(value, float) else f"{value}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
