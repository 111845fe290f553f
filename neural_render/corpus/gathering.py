"""Clips to a table of face crops, made once and found again by a training that goes on."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foundation.atomic import write_file
from foundation.errors import PortraitError, write_error
from foundation.progress import Event, Report, ignore
from neural_render.corpus.crops import cut_square, face_box, in_crop
from neural_render.corpus.faces import UNKNOWN, Faces

if TYPE_CHECKING:
    from neural_render.methods.clip import Clip

VERSION = 1
INSIDE = 0.5  # share of a face's landmarks that lie in its clip's square; in another shot it's elsewhere
TABLE, PIXELS = "faces.npz", "faces.u8"
COLUMNS = ("person", "clip", "performance", "frame")


def spread(count: int, most: int) -> np.ndarray:
    """At most ``most`` of 0 to count - 1, evenly spread; the same for performances of one length."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


@dataclass
class _Rows:
    """What is said of the pictures while they are written."""

    columns: dict[str, list] = field(default_factory=lambda: {k: [] for k in COLUMNS})
    landmarks: list[np.ndarray] = field(default_factory=list)
    units: list[np.ndarray] = field(default_factory=list)
    excluded: int = 0


def gather(
    clips: Sequence[Clip],
    folder: str | os.PathLike,
    size: int,
    *,
    frames_a_clip: int = 32,
    action_units: bool = False,
    report: Report = ignore,
) -> Faces:
    """The face crops of clips, from ``folder`` where they are there already.

    Args:
        frames_a_clip: at most so many, evenly spread.
        action_units: theirs too.

    Raises:
        PortraitError: no clips, no face in any, clips of different landmarks, a full disk.
    """
    if not clips:
        raise PortraitError("clips: expected at least one, got none")
    folder = Path(folder)
    name = _digest(clips, size, frames_a_clip, action_units)
    if (found := _there(folder, name, size)) is not None:
        return found
    people: dict[str, int] = {}  # those who are seen, and their numbers
    performances = tuple(dict.fromkeys(clip.performance for clip in clips if clip.performance))
    rows, schemes, names = _Rows(), set(), set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TABLE).unlink(missing_ok=True)
        with open(folder / PIXELS, "wb") as file:
            for number, clip in enumerate(clips):
                report(Event("faces", number, len(clips), "clips"))
                done = performances.index(clip.performance) if clip.performance else UNKNOWN
                if not np.isfinite(clip.landmarks.points).all((1, 2)).any():
                    rows.excluded += len(spread(len(clip.landmarks.points), frames_a_clip))
                    clip.release()
                    continue
                who = {
                    "person": people.setdefault(clip.person, len(people)), "clip": number, "performance": done
                }  # fmt: skip
                _append(rows, clip, who, file, size, frames_a_clip, action_units)
                schemes.add(clip.landmarks.scheme)
                if action_units:
                    names.add(clip.action_units.names)
                clip.release()
    except OSError as error:
        raise write_error("training data", folder, error) from None
    if not rows.landmarks:
        raise PortraitError(f"clips: expected a face in one of {len(clips)}, found none; train on other clips")
    for what, found in (("landmarks", schemes), ("action units", names)):
        if len(found) > 1:
            raise PortraitError(f"clips: expected {what} of one kind, found {len(found)}; train on clips of one kind")
    table = {k: np.array(v, np.int64) for k, v in rows.columns.items()}
    table["landmarks"] = np.stack(rows.landmarks)
    table["weights"] = np.array([clip.weight for clip in clips], np.float64)
    if action_units:
        table["units"] = np.stack(rows.units)
    facts = {
        "digest": name, "people": tuple(people), "scheme": schemes.pop(), "excluded": rows.excluded,
        "unit_names": names.pop() if names else (),
    }  # fmt: skip
    packed = io.BytesIO()
    np.savez(packed, facts=np.array(json.dumps(facts)), **table)
    write_file(folder / TABLE, packed.getvalue(), "training data")
    return _there(folder, name, size)


def _append(rows: _Rows, clip: Clip, who: dict, file, size: int, most: int, action_units: bool) -> None:
    """Writes the chosen frames of a clip, and what is known of them."""
    points = clip.landmarks.points
    crop, chosen = face_box(points), set(spread(len(points), most).tolist())
    for index, _time, rgb in clip.frames:
        if index not in chosen:
            continue
        place = in_crop(points[index], crop)  # NaN, without a face, isn't inside either
        seen = (np.abs(place) <= 1).all(-1).mean() >= INSIDE
        if not seen or (action_units and not np.isfinite(clip.action_units.values[index]).all()):
            rows.excluded += 1
            continue
        file.write(np.ascontiguousarray(cut_square(rgb, crop, size)).tobytes())
        for column, value in (who | {"frame": index}).items():
            rows.columns[column].append(value)
        rows.landmarks.append(place)
        if action_units:
            rows.units.append(clip.action_units.values[index].astype(np.float32))


def _digest(clips: Sequence[Clip], size: int, most: int, action_units: bool) -> str:
    """A name for what these inputs come to."""
    told = [[dict(c.source), c.person, c.performance, c.weight, c.width, c.height] for c in clips]
    text = json.dumps([VERSION, size, most, action_units, told], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _there(folder: Path, name: str, size: int) -> Faces | None:
    """The table of that name, if it lies there whole."""
    try:
        with np.load(folder / TABLE, allow_pickle=False) as file:
            table = dict(file)
        facts = json.loads(str(table.pop("facts")))
        whole = (folder / PIXELS).stat().st_size == len(table["person"]) * size * size * 3
    except (OSError, ValueError, KeyError):
        return None
    if not whole or facts.pop("digest") != name:
        return None
    facts["people"], facts["unit_names"] = tuple(facts["people"]), tuple(facts["unit_names"])
    return Faces(folder / PIXELS, size, **facts, **table)
