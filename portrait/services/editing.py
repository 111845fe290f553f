"""``portrait edit`` and ``portrait mix``: new tracks from tracks, and curves from and to CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import facemodel
from facemodel import PortraitError, Track
from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.curve_files import read_any_curves
from facemodel.editing.curves import Curves
from facemodel.editing.edits_file import apply_edits, read_edits
from facemodel.editing.mixing import TAKE
from foundation.progress import Report, ignore
from portrait.services.checks import MOST, check_names, check_number, check_output
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.tracks import check_new_folder, describe_track, load_track

NAMED = 4  # columns that a note lists
LONGEST = 60.0  # seconds that a window of smoothing may have


@dataclass(frozen=True)
class CurveOptions:
    """A table of curves to be read."""

    file: Path
    rate: float | None = None  # frames a second that its timecodes count; None finds it from them
    head: bool = False  # its angles of the head too


@dataclass(frozen=True)
class EditOptions:
    """What is changed, in this order; `facemodel.edit` explains each."""

    curves: CurveOptions | None = None
    smooth: float = 0.0  # seconds
    neutral: int | Literal["auto"] | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    add: Mapping[str, float] = field(default_factory=dict)
    set: Mapping[str, float] = field(default_factory=dict)
    gaze: tuple[float, float] | None = None  # yaw, pitch; radians
    file: Path | None = None  # of edits that a page saved; they come first

    def check(self) -> None:
        """Raises PortraitError for numbers that can't be."""
        check_number("smooth", self.smooth, 0, LONGEST, unit=" seconds")
        if self.curves is not None:
            check_number("csv-rate", self.curves.rate, 0, 1000, above=True, unit=" frames a second")

    @property
    def edits(self) -> dict:
        """As `facemodel.edit` takes them; empty where the track stays as it is."""
        table = {"set": self.set, "scale": self.scale, "add": self.add, "gaze": self.gaze, "smooth": self.smooth}
        table["neutral"] = self.neutral
        return table if any(table.values()) or self.neutral is not None else {}


@dataclass(frozen=True)
class Edited:
    """A track that was changed."""

    track: Track
    path: Path | None  # where it is; None: nowhere, only its curves
    curves: Curves | None = None  # that were read
    read: Path | None = None  # from here
    written: Path | None = None  # the result's curves
    neutral: int | None = None  # frame that expressions are counted from
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        out = []
        if self.curves is not None:
            rows, seconds = len(self.curves.times), self.curves.times[-1]
            out.append(f"{self.read}: {rows} rows, {seconds:.2f} s, {len(self.curves.values)} columns")
        if self.neutral is not None:
            out.append(f"  neutral: frame {self.neutral}")
        if self.path is not None:
            out.append(f"{self.path}: {describe_track(self.track)}")
        return out if self.written is None else [*out, f"{self.written}: {len(self.track)} rows"]


@dataclass(frozen=True)
class Mixed:
    """One clip's performance on another's face."""

    track: Track
    path: Path
    neutral: dict[str, int] | None  # frames of "source" and "target"; None where values were copied
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        of = self.neutral
        against = "" if of is None else f"; neutral: source frame {of['source']}, target frame {of['target']}"
        out = [f"{self.path}: {describe_track(self.track)}{against}"]
        pose = self.track.facts["mixed"].get("pose")
        if pose is not None:
            few = pose["limited_frames"]
            kept = f"; {few} frames are kept from turning further than either clip" if few else ""
            yaws = f"a yaw of {pose['source']['yaw']:g} in the source, of {pose['target']['yaw']:g} in the target"
            out.append(f"  pose: counted from {yaws}{kept}")
        return out


def edit_track(
    path: Path,
    output: Path | None,
    options: EditOptions = EditOptions(),
    *,
    to_csv: Path | None = None,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Edited:
    """Reads, changes and writes a track; writes its curves too, or alone. PortraitError for what can't be done."""
    options.check()
    if output is None and to_csv is None:
        raise PortraitError("edit: where shall the new track go? Give -o TRACK2 (or --to-csv FILE to write curves)")
    read = options.curves.file if options.curves else None
    if output is not None:
        check_new_folder(output, path)
    if to_csv is not None:
        check_output(to_csv, read, options.file)
    saved = None if options.file is None else read_edits(options.file)
    model, notes, curves, neutral = setup.started().face_model("cpu"), Notes(report), None, None
    track = load_track(path, model)
    if saved is not None:
        track = apply_edits(track, model, saved)
    if options.curves is not None:
        rate = max(1, round(track.fps))
        curves, _ = read_any_curves(read, rate=options.curves.rate, default_rate=rate, default_rows=len(track))
        track = facemodel.apply_curves(track, model, curves, head=options.curves.head)
        for note in (
            *curves.notes,
            rate_note(curves),
            held_note(curves, track),
            clamped_note(curves),
            unused_note(curves, model),
        ):
            if note:
                notes.add(note)
        track = track.with_parameters(track.parameters, curves=read.name)
    if options.edits:
        track = facemodel.edit(track, model, **options.edits)
        neutral = track.facts["edits"][-1].get("neutral")
        if note := lids_note(options):
            notes.add(note)
    if output is not None:
        track.save(output)
    if to_csv is not None:
        facemodel.write_curves(track, model, to_csv)
    return Edited(track, output, curves, read, to_csv, neutral, tuple(notes))


def held_note(curves: Curves, track: Track) -> str:
    """Where curves end before the track does; empty where they don't."""
    times, ends = track.seconds.tolist(), float(curves.times[-1])
    held = sum(time > ends + 0.5 / track.fps for time in times)
    if not held:
        return ""
    return (
        f"the curves end at {ends:.2f} s, the track at {times[-1]:.2f} s; "
        f"their last values are held for the last {held} of {len(track)} frames"
    )


def clamped_note(curves: Curves) -> str:
    """Where shapes have values outside [0, 1], which ARKit's can't have; empty where none has."""
    shapes = {name: values for name, values in curves.values.items() if name in ARKIT_NAMES}
    counts = {name: int(((values < 0) | (values > 1)).sum()) for name, values in shapes.items()}
    named = [f"{name} {count}" for name, count in counts.items() if count]
    if not named:
        return ""
    more = f" and {len(named) - NAMED} more columns" if len(named) > NAMED else ""
    return f"{sum(counts.values())} values outside 0 to 1 are clamped: {', '.join(named[:NAMED])}{more}"


def rate_note(curves: Curves) -> str:
    """Where nothing in the file says how many frames a second its timecodes count; empty otherwise."""
    if curves.assumed_rate is None:
        return ""
    return f"the timecodes are taken to count {curves.assumed_rate:g} frames a second; --csv-rate says otherwise"


def unused_note(curves: Curves, model) -> str:
    """Where columns mean nothing to the model; empty where all mean something."""
    if not (unused := curves.unused(model)):
        return ""
    more = f" and {len(unused) - NAMED} more" if len(unused) > NAMED else ""
    return f"columns that mean nothing here are skipped: {', '.join(unused[:NAMED])}{more}"


def lids_note(options: EditOptions) -> str:
    """What those ought to know who edit eyeLook shapes by name; empty for other edits."""
    names = [n for how in (options.set, options.scale, options.add) for n in how if n.lower().startswith("eyelook")]
    if not names:
        return ""
    if options.gaze is None:
        return f"{', '.join(names)}: moves the lids alone; --gaze YAW,PITCH turns the eyes, and the lids with them"
    return f"{', '.join(names)}: --gaze comes last and sets the eyeLook shapes, so this is lost"


@dataclass(frozen=True)
class MixOptions:
    """What is taken from the source, and how; `facemodel.mix` explains it."""

    take: tuple[str, ...] = TAKE
    absolute: bool = False  # values, rather than changes against neutral
    source_neutral: int | None = None  # frames without expression; None finds them
    target_neutral: int | None = None
    smooth: float = 0.0  # seconds
    beyond: bool = False  # whether heads may turn further than either clip's

    def check(self) -> None:
        """Raises PortraitError for what can't be."""
        if not self.take:
            raise PortraitError(f"--take: expected any of {','.join(TAKE)}, got nothing")
        check_names("part to take", self.take, TAKE)
        check_number("smooth", self.smooth, 0, LONGEST, unit=" seconds")
        check_number("source-neutral", self.source_neutral, 0, MOST)
        check_number("target-neutral", self.target_neutral, 0, MOST)

    def mix(self, source: Track, target: Track, model) -> Track:
        """See `facemodel.mix`."""
        return facemodel.mix(
            source, target, model, self.take, absolute=self.absolute, source_neutral=self.source_neutral,
            target_neutral=self.target_neutral, beyond=self.beyond, smooth=self.smooth,
        )  # fmt: skip


def mix_tracks(
    source: Path,
    target: Path,
    output: Path,
    options: MixOptions = MixOptions(),
    *,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Mixed:
    """Mixes two tracks and writes the result. PortraitError for what can't be mixed."""
    options.check()
    check_new_folder(output, source, target)
    model = setup.started().face_model("cpu")
    mixed = options.mix(load_track(source, model), load_track(target, model), model)
    mixed.save(output)
    return Mixed(mixed, output, None if options.absolute else mixed.facts["mixed"]["neutral"])
