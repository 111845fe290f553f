"""``portrait edit`` and ``portrait mix``."""

from __future__ import annotations

import math
from pathlib import Path

import facemodel
from facemodel import PortraitError, Track
from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.curves import Curves
from portrait.progress import say
from portrait.tracks import check_new_folder, describe_track, load_track
from portrait.video.writer import check_writable

NAMED = 4  # columns that a note lists


def edit_track(
    path: Path,
    output: Path | None,
    *,
    set: list[str],
    scale: list[str],
    add: list[str],
    gaze: str | None,
    smooth: float,
    neutral: str | None,
    csv: Path | None,
    csv_rate: float | None,
    csv_head: bool,
    to_csv: Path | None,
) -> None:
    """Reads, changes and writes a track; writes its curves too if asked to."""
    if output is None and to_csv is None:
        raise PortraitError("edit: where shall the new track go? Give -o TRACK2 (or --to-csv FILE to write curves)")
    edits = {
        "set": assignments("--set", set),
        "scale": assignments("--scale", scale),
        "add": assignments("--add", add),
        "gaze": None if gaze is None else tuple(math.radians(a) for a in pair("--gaze", gaze)),
        "smooth": smooth,
        "neutral": frame_or_auto("--neutral", neutral),
    }
    model = facemodel.load()
    track = load_track(path, model)
    if output is not None:
        check_new_folder(output, path)
    if to_csv is not None:
        check_writable(to_csv, csv)
    if csv is not None:
        curves = facemodel.read_curves(csv, rate=csv_rate, default_rate=max(1, round(track.fps)))
        track = facemodel.apply_curves(track, model, curves, head=csv_head)
        say(f"{csv}: {len(curves.times)} rows, {curves.times[-1]:.2f} s, {len(curves.values)} columns")
        note_held(curves, track)
        note_clamped(curves)
        if unused := curves.unused(model):
            more = f" and {len(unused) - NAMED} more" if len(unused) > NAMED else ""
            say(f"  note: columns that mean nothing here are skipped: {', '.join(unused[:NAMED])}{more}")
        track = track.with_parameters(track.parameters, curves=csv.name)
    if any(edits.values()) or edits["neutral"] is not None:
        track = facemodel.edit(track, model, **edits)
        if neutral is not None:
            say(f"  neutral: frame {track.facts['edits'][-1]['neutral']}")
        if note := lids_note(edits):
            say(f"  note: {note}")
    if output is not None:
        track.save(output)
        say(f"{output}: {describe_track(track)}")
    if to_csv is not None:
        facemodel.write_curves(track, model, to_csv)
        say(f"{to_csv}: {len(track)} rows")


def note_held(curves: Curves, track: Track) -> None:
    """Says so where curves end before the track does."""
    times, ends = (track.times - track.times[0]).tolist(), float(curves.times[-1])
    held = sum(time > ends + 0.5 / track.fps for time in times)
    if held:
        say(
            f"  note: the curves end at {ends:.2f} s, the track at {times[-1]:.2f} s; "
            f"their last values are held for the last {held} of {len(track)} frames"
        )


def note_clamped(curves: Curves) -> None:
    """Says so where shapes have values outside [0, 1], which none can have."""
    shapes = {name: values for name, values in curves.values.items() if name in ARKIT_NAMES}
    counts = {name: int(((values < 0) | (values > 1)).sum()) for name, values in shapes.items()}
    named = [f"{name} {count}" for name, count in counts.items() if count]
    if named:
        more = f" and {len(named) - NAMED} more columns" if len(named) > NAMED else ""
        say(f"  note: {sum(counts.values())} values outside 0 to 1 are clamped: {', '.join(named[:NAMED])}{more}")


def lids_note(edits: dict) -> str:
    """What those ought to know who edit eyeLook shapes by name; empty for other edits."""
    names = [n for how in ("set", "scale", "add") for n in edits[how] if n.lower().startswith("eyelook")]
    if not names:
        return ""
    if edits["gaze"] is None:
        return f"{', '.join(names)}: moves the lids alone; --gaze YAW,PITCH turns the eyes, and the lids with them"
    return f"{', '.join(names)}: --gaze comes last and sets the eyeLook shapes, so this is lost"


def mix_tracks(
    source: Path,
    target: Path,
    output: Path,
    *,
    take: str,
    absolute: bool,
    source_neutral: int | None,
    target_neutral: int | None,
    smooth: float,
) -> None:
    """Mixes two tracks and writes the result."""
    model = facemodel.load()
    check_new_folder(output, source, target)
    mixed = facemodel.mix(
        load_track(source, model),
        load_track(target, model),
        model,
        parts(take),
        absolute=absolute,
        source_neutral=source_neutral,
        target_neutral=target_neutral,
        smooth=smooth,
    )
    mixed.save(output)
    neutral = mixed.facts["mixed"]["neutral"]
    against = "" if absolute else f"; neutral: source frame {neutral['source']}, target frame {neutral['target']}"
    say(f"{output}: {describe_track(mixed)}{against}")


def parts(take: str) -> list[str]:
    """``expression,gaze`` as a list. Raises PortraitError where it is empty."""
    names = [name.strip() for name in take.split(",") if name.strip()]
    if not names:
        raise PortraitError("--take: expected any of expression,pose,gaze, got nothing")
    return names


def assignments(option: str, items: list[str]) -> dict[str, float]:
    """NAME=VALUE items as a dictionary."""
    values = {}
    for item in items:
        name, equals, text = item.partition("=")
        value = _number(text)
        if not equals or not name.strip() or value is None:
            raise PortraitError(f"{option} '{item}': expected NAME=VALUE, such as jawOpen=0.6")
        values[name.strip()] = value
    return values


def pair(option: str, text: str) -> tuple[float, float]:
    """``YAW,PITCH`` in degrees."""
    numbers = [_number(part) for part in text.split(",")]
    if len(numbers) != 2 or None in numbers:
        raise PortraitError(f"{option} '{text}': expected YAW,PITCH in degrees, such as 10,-5")
    return numbers[0], numbers[1]


def frame_or_auto(option: str, text: str | None) -> int | str | None:
    """A frame's number, "auto", or None."""
    if text is None or text == "auto":
        return text
    if not text.isdecimal():
        raise PortraitError(f"{option} '{text}': expected the number of a frame, such as 12, or auto")
    return int(text)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
