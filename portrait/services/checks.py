"""Checks of a job's options, before any work: each raises a PortraitError that names the option."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from foundation.errors import PortraitError, unknown_name
from portrait.video.writer import FORMATS, check_writable

REPORT_SUFFIXES = (".html", ".htm")
MOST = 2**31  # frames, people, ... that anybody means


def check_number(
    option: str, value: float | None, low: float, high: float = math.inf, *, unit: str = "", above: bool = False
) -> None:
    """A number from ``low`` (or above it) to ``high``, finite; None passes.

    Args:
        option: as a user knows it, without dashes: "minutes".
    """
    if value is None or (math.isfinite(value) and low <= value <= high and not (above and value == low)):
        return
    least = f"more than {low:g}" if above else f"{low:g}"
    most = "" if high == math.inf else f" {'and at most' if above else 'to'} {high:g}"
    least += " or more" if not above and high == math.inf else ""
    raise PortraitError(f"--{option}: expected {least}{most}{unit}, got {value:g}")


def check_names(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Names that a table has; the nearest is suggested."""
    known = list(known)
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)


def check_output(path: Path, *inputs: Path | None) -> None:
    """A file that can be written and isn't an input; see `portrait.video.writer.check_writable`."""
    if not path.name:
        raise PortraitError(f"output '{path}': expected the name of a file")
    check_writable(path, *inputs)


def check_video_output(path: Path, *inputs: Path | None) -> None:
    """The same for a video: a name that ends as those do that can be written."""
    if path.suffix.lower() not in FORMATS:
        raise PortraitError(f"output '{path}': expected a name ending in {', '.join(FORMATS)}")
    check_output(path, *inputs)


def check_folder(path: Path, inside: str) -> None:
    """A folder, there or not, in which the file ``inside`` can be written."""
    if path.exists() and not path.is_dir():
        raise PortraitError(f"output '{path}': expected a folder, found a file; choose another name")
    check_writable(path / inside)


def check_page(path: Path | None, *inputs: Path | None) -> None:
    """Where a report goes: a file of HTML; None passes."""
    if path is None:
        return
    if path.suffix.lower() not in REPORT_SUFFIXES:
        raise PortraitError(f"report '{path}': expected a name ending in .html, a report is a web page in one file")
    check_output(path, *inputs)


def check_table(path: Path | None, what: str, *inputs: Path | None) -> None:
    """Where a table goes: a file of CSV; None passes."""
    if path is None:
        return
    if path.suffix.lower() != ".csv":
        raise PortraitError(f"{what} '{path}': expected a name ending in .csv")
    check_output(path, *inputs)
