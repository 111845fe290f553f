"""``portrait import``: what other trackers left, as a track; curves of other programs, as one kind of table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel import PortraitError, Track, apply_curves
from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.curve_files import KINDS, read_any_curves
from facemodel.editing.curves import Curves, write_table
from facemodel.editing.edits_file import write_edits
from facemodel.formats.trackers.base import FPS, TRACKERS, find_tracker, import_track
from foundation.progress import Report, ignore
from portrait.services.checks import check_number, check_output
from portrait.services.editing import NAMED, clamped_note, held_note, rate_note
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.tracks import check_new_folder, describe_track, load_track


@dataclass(frozen=True)
class Imported:
    """A file that was written, and what it was made of."""

    path: Path
    title: str  # of the format
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What there is to say of it."""
        raise NotImplementedError


@dataclass(frozen=True)
class ImportedTrack(Imported):
    """A track that was somebody else's."""

    track: Track

    def lines(self) -> list[str]:
        return [f"{self.path}: {describe_track(self.track)}, from {self.title}"]


@dataclass(frozen=True)
class ImportedEdits(Imported):
    """What a table of curves makes of a track, as 'portrait edit --edits' takes it."""

    track: Path
    count: int

    def lines(self) -> list[str]:
        how = f"'portrait edit {self.track} --edits {self.path} -o TRACK2' applies them"
        return [f"{self.path}: {self.count} curves of '{self.track}', from {self.title}; {how}"]


@dataclass(frozen=True)
class ImportedCurves(Imported):
    """A table of ARKit's curves, as 'portrait edit --csv' takes it."""

    curves: Curves

    def lines(self) -> list[str]:
        count, seconds = len(self.curves.times), self.curves.times[-1]
        shapes = sum(name in ARKIT_NAMES for name in self.curves.values)
        what = f"{count} rows, {seconds:.2f} s, {shapes} of ARKit's shapes, from {self.title}"
        return [f"{self.path}: {what}; 'portrait edit TRACK --csv {self.path} -o TRACK2' applies it"]


def import_file(
    path: Path,
    output: Path,
    *,
    format: str | None = None,
    fps: float | None = None,
    track: Path | None = None,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Imported:
    """A tracker's files become a track, a table of curves Live Link Face's, or edits of a track.

    format: a name of `TRACKERS` or `KINDS`; None finds it by content. fps: frames a second where the files don't say.
    track: what curves become edits of.
    Raises PortraitError for anything else.
    """
    check_number("fps", fps, 0, 1000, above=True, unit=" frames a second")
    if format is not None and format not in (*TRACKERS, *KINDS):
        raise PortraitError(f"--format '{format}': expected one of {', '.join((*TRACKERS, *KINDS))}")
    setup = setup.started()
    if not path.exists():
        raise PortraitError(f"'{path}': no such file or folder; check the name")
    curves = format in KINDS or (format is None and path.is_file() and path.suffix.lower() in (".csv", ".json"))
    notes = Notes(report)
    if track is not None:
        if not curves:
            raise PortraitError(f"--track: curves become edits of one, '{path}' is none; leave it out")
        return import_edits(path, output, format, fps, track, setup, notes)
    return (import_curves if curves else import_tracked)(path, output, format, fps, setup, notes)


def import_tracked(
    path: Path, output: Path, format: str | None, fps: float | None, setup: Setup, notes: Notes
) -> ImportedTrack:
    """A track folder of a tracker's files."""
    check_new_folder(output, path)
    name = format or find_tracker(path)
    model = setup.face_model("cpu")
    track, found = import_track(path, model, name, fps)
    for note in found.notes:
        notes.add(note)
    if fps is None and found.fps is None and len(track) > 1:
        notes.add(f"frames are taken for {FPS:g} a second; --fps says otherwise")
    track.save(output)
    return ImportedTrack(output, TRACKERS[name].title, tuple(notes), track)


def import_curves(
    path: Path, output: Path, format: str | None, fps: float | None, setup: Setup, notes: Notes
) -> ImportedCurves:
    """A csv of ARKit's curves."""
    if output.suffix.lower() != ".csv":
        raise PortraitError(
            f"output '{output}': curves become a table; expected a name ending in .csv, or --track with the track that "
            "they are edits of"
        )
    check_output(output, path)
    curves, kind = read_any_curves(path, rate=fps, default_rate=30.0, kind=format)
    tell_of(curves, notes)
    write_table(curves, output, fps or rate_of(curves))
    return ImportedCurves(output, KINDS[kind], tuple(notes), curves)


def import_edits(
    path: Path, output: Path, format: str | None, fps: float | None, track: Path, setup: Setup, notes: Notes
) -> ImportedEdits:
    """Edits of a track, as JSON: its shapes, gaze and head as the curves have them, by their times."""
    if output.suffix.lower() != ".json":
        raise PortraitError(f"output '{output}': edits are JSON; expected a name ending in .json")
    check_output(output, path, track)
    model = setup.face_model("cpu")
    before = load_track(track, model)
    rate = max(1, round(before.fps))
    curves, kind = read_any_curves(path, rate=fps, default_rate=rate, default_rows=len(before), kind=format)
    tell_of(curves, notes)
    if note := held_note(curves, before):
        notes.add(note)
    after = apply_curves(before, model, curves, head=kind == "openface")
    count = write_edits(before, after, model, track.name, output)
    return ImportedEdits(output, KINDS[kind], tuple(notes), track, count)


def tell_of(curves: Curves, notes: Notes) -> None:
    """Notes of what isn't used, and of what was done."""
    unknown = (*curves.skipped, *(n for n in curves.values if n not in ARKIT_NAMES and not n[:1].isupper()))
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        notes.add(f"columns that mean nothing here: {', '.join(unknown[:NAMED])}{more}")
    for note in (*curves.notes, rate_note(curves).replace("--csv-rate", "--fps"), clamped_note(curves)):
        if note:
            notes.add(note)


def rate_of(curves: Curves) -> float:
    """Frames a second of its rows."""
    return 30.0 if len(curves.times) < 2 else float(1 / np.median(np.diff(curves.times)))
