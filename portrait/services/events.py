"""What services tell while they work, beside how far they are: parts that are done, and notes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from foundation.progress import Event, Report, ignore


@dataclass(frozen=True)
class Finished(Event):
    """A part of a longer job is done."""

    result: object = None  # what that part's own service returns


@dataclass(frozen=True)
class Begun(Event):
    """A part of a longer job begins: ``stage`` says which, ``done`` of ``total`` parts are behind it."""


@dataclass(frozen=True)
class Noted(Event):
    """Something that a user ought to know, in ``note``; the job goes on."""


class Notes(list[str]):
    """Notes of a job: told as they come, and kept for its result."""

    def __init__(self, report: Report = ignore) -> None:
        super().__init__()
        self._report = report

    def add(self, text: str) -> None:
        """Keeps and tells a note."""
        self.append(text)
        self._report(Noted("note", 0, None, note=text))


def named(report: Report, name: str) -> Report:
    """The same listener, which hears ``name: stage`` of stages."""

    def tell(event: Event) -> None:
        report(event if isinstance(event, Finished | Begun | Noted) else replace(event, stage=f"{name}: {event.stage}"))

    return tell
