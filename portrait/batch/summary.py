"""``summary.csv``: a line a clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path

from facemodel import FrameStatus, Track
from foundation.atomic import write_csv
from portrait.batch.work import Clip, Row

COLUMNS = [f.name for f in fields(Row) if f.name != "kept"]


def row_of(clip: Clip, track: Track, kept: bool) -> Row:
    """The row of a fitted clip."""
    return Row(
        clip=clip.name,
        track=clip.track_name,
        status="fitted",
        frames=len(track),
        tracked=int(track.tracked.sum()),
        uncertain=int(track.where(FrameStatus.UNCERTAIN).sum()),
        mean_confidence=round(float(track.confidence.float().mean()), 4),
        median_landmark_error=round(float(track.energies["landmarks"].nanmedian()), 5),
        median_photometric_error=round(float(track.energies["photometric"].nanmedian()), 2),
        seconds=round(track.facts["timings"]["total"], 2),
        kept=kept,
    )


def write_summary(path: Path, rows: Iterable[Row]) -> None:
    """Writes the table, whole or not at all. Raises PortraitError where that can't be done."""
    write_csv(path, [COLUMNS, *(astuple(row)[: len(COLUMNS)] for row in rows)], "summary")
