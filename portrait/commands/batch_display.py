"""How far a batch is: on a terminal a bar for all of it and one for each running clip, elsewhere a line at times."""

from __future__ import annotations

import contextlib
import sys

from foundation.progress import Event
from portrait.batch.work import Clip, Row
from portrait.commands.progress import Progress, bars, say


class BatchDisplay:
    """Shows a batch of ``total`` clips, as a context manager and a `Report`. Clips that fail are said at once."""

    def __init__(self, total: int) -> None:
        self.total, self.finished, self.failed = total, 0, 0
        self._running: dict[Clip, Event] = {}
        self._tasks: dict[Clip, int] = {}
        self._bars, self._lines = None, Progress()  # bars on a terminal, lines elsewhere

    def __enter__(self) -> BatchDisplay:
        if sys.stderr.isatty():
            from rich.progress import TextColumn

            self._bars = bars(TextColumn("{task.fields[count]}"), redirect_stdout=sys.stdout.isatty())
            self._bars.start()
            self._all = self._bars.add_task("all clips", total=self.total, count="")
        self._update()
        return self

    def __exit__(self, *_) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Takes in how far a clip is, or that it's done: a `portrait.services.batch.ClipEvent`."""
        if event.row is not None:
            self._finish(event.clip, event.row)
        else:
            self._advance(event.clip, event)
        self._update()

    def _advance(self, clip: Clip, news: Event) -> None:
        before, self._running[clip] = self._running.get(clip), news
        if self._bars is None:
            return
        state = {
            "completed": news.done,
            "total": news.total,
            "count": f"{news.stage}, {news.done:g} of {news.total or 'unknown'}",
        }
        if clip not in self._tasks:
            self._tasks[clip] = self._bars.add_task(f"  {clip.name}", **state)
        elif before.stage != news.stage:
            self._bars.reset(self._tasks[clip], **state)  # its times begin anew
        else:
            self._bars.update(self._tasks[clip], **state)

    def _finish(self, clip: Clip, row: Row) -> None:
        self.finished += 1
        self._running.pop(clip, None)
        if (task := self._tasks.pop(clip, None)) is not None:
            self._bars.remove_task(task)
        if row.status == "failed":
            self.failed += 1
            say(f"{clip.name}: failed: {row.error}")

    def _update(self) -> None:
        """Clips in tracking count in part, so that the bar moves where there are few."""
        part = sum(min(n.done / n.total, 1) for n in self._running.values() if n.stage == "tracking" and n.total)
        note = f"{self.failed} failed" if self.failed else ""
        if self._bars is None:
            self._lines(Event("clips", self.finished, self.total, "clips", note))
        else:
            count = f"{self.finished} of {self.total}{f', {note}' if note else ''}"
            self._bars.update(self._all, completed=self.finished + part, count=count)


class FitDisplay:
    """What ``portrait fit`` shows: a batch where the first event is of one, else a single clip's progress."""

    def __enter__(self) -> FitDisplay:
        self._stack, self._show = contextlib.ExitStack(), None
        return self

    def __exit__(self, *trouble) -> None:
        self._stack.__exit__(*trouble)

    def __call__(self, event: Event) -> None:
        if self._show is None:
            batch = event.unit == "clips"
            self._show = self._stack.enter_context(BatchDisplay(int(event.total)) if batch else Progress())
            if batch:
                return
        self._show(event)
