"""Curves of any program, by a file's content: Live Link Face's csv, OpenFace's, MediaPipe's scores as JSON."""

from __future__ import annotations

import csv
from pathlib import Path

from facemodel.editing.curves import Curves, read_curves
from facemodel.editing.openface import is_openface, read_openface
from facemodel.editing.scores import read_scores

KINDS = {"arkit": "Live Link Face's csv", "openface": "OpenFace's csv", "mediapipe": "MediaPipe's scores"}


def kind_of(path: Path) -> str:
    """A name of `KINDS`; "arkit" of what can't be told, whose reader then says what's wrong."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            start = file.read(65536)
    except (OSError, UnicodeDecodeError):
        return "arkit"
    if start.lstrip()[:1] in ("{", "["):
        return "mediapipe"
    header = next(csv.reader(start.splitlines()[:1]), [])
    return "openface" if is_openface(header) else "arkit"


def read_any_curves(
    path: Path,
    *,
    rate: float | None = None,
    default_rate: float = 60.0,
    default_rows: int | None = None,
    kind: str | None = None,
) -> tuple[Curves, str]:
    """Curves, and the kind of file they were in. Rates: see `read_curves`; other kinds have seconds, or the default.

    kind: a name of `KINDS`; None finds it by content.
    """
    kind = kind or kind_of(path)
    if kind == "arkit":
        return read_curves(path, rate=rate, default_rate=default_rate, default_rows=default_rows), kind
    read = read_openface if kind == "openface" else read_scores
    return read(path, default_rate=rate or default_rate), kind
