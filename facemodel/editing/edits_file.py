"""Edits of a track in one JSON file: curves by name, as the editor page saves them; `portrait edit --edits` applies it.

    {"format": "video-portraits edits", "version": 1,
     "track": {"name": "talk.track", "fingerprint": "...", "frames": 120}, "model": {"name": "default", ...},
     "identity": {"identity 0": 1.5},
     "expression": {"jawOpen": [{"start": 40, "values": [0.1, 0.35, 0.1]}]},
     "joints": {}, "gaze": {"left yaw": [...]}, "head": {"yaw": [...], "x": [...]}}

A curve is runs of frames with their new values; frames that aren't in one keep theirs. What was done to get there
(mirrored, scaled, smoothed, drawn) isn't in the file: its result is. Expressions and joints are in the model's own
numbers; gaze in radians, ``left`` and ``right``, ``yaw`` and ``pitch``; the head's ``yaw``, ``pitch``, ``roll`` in
radians as `poses.head_angles` has them, ``x``, ``y``, ``z`` in mm in the camera's frame. docs/editor.md has the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel.base import Block, FaceModel
from facemodel.editing.edits import MAX_GAZE, NAMED
from facemodel.editing.poses import head_angles, head_rotation
from facemodel.track import Track
from foundation.atomic import write_file
from foundation.errors import PortraitError, unknown_name

FORMAT, VERSION = "video-portraits edits", 1
GAZE = ("left yaw", "left pitch", "right yaw", "right pitch")
TURNS, PLACE = ("yaw", "pitch", "roll"), ("x", "y", "z")
SLACK = 1e-5  # by which a value may lie beyond its bounds: it was written in decimals
FARTHEST = 1e6  # mm, or standard deviations, that anything may be


@dataclass(frozen=True)
class Run:
    """Values of successive frames."""

    start: int  # the first one's frame
    values: np.ndarray  # (N,) float64

    @property
    def frames(self) -> slice:
        return slice(self.start, self.start + len(self.values))


Curves = Mapping[str, tuple[Run, ...]]


@dataclass(frozen=True)
class TrackEdits:
    """What a file of edits says."""

    name: str  # of the track, for messages
    fingerprint: str  # of the track: `track_fingerprint`
    identity: Mapping[str, float]
    expression: Curves
    joints: Curves
    gaze: Curves
    head: Curves

    @property
    def count(self) -> int:
        """How many curves and coefficients it changes."""
        return sum(len(part) for part in (self.identity, self.expression, self.joints, self.gaze, self.head))


def track_fingerprint(track: Track) -> str:
    """Of a track's parameters and times, by which edits know it again wherever it lies and whatever its facts say."""
    total = hashlib.sha256(f"{track.fingerprint} {track.width} {track.height} {len(track)}".encode())
    values = {f.name: getattr(track.parameters, f.name) for f in fields(track.parameters)} | {"times": track.times}
    for name, value in sorted(values.items()):
        total.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:32]


def read_edits(path: str | os.PathLike) -> TrackEdits:
    """Reads a file of edits. PortraitError for anything that isn't one, with the place in it."""
    path = Path(path)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PortraitError(f"edits '{path}': no such file; check the name") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PortraitError(f"edits '{path}': can't be read as JSON ({error}); save it again from the page") from None
    return parse_edits(table, f"edits '{path}'")


def parse_edits(table: object, what: str) -> TrackEdits:
    """Edits of a table as `json.loads` gives it; ``what`` begins the line of an error."""
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise PortraitError(f"{what}: expected a file that the page of 'portrait view TRACK' saved; this is none")
    if table.get("version") != VERSION:
        raise PortraitError(f"{what}: expected version {VERSION}, found {table.get('version')!r}; save it again")
    track = table.get("track")
    if not isinstance(track, dict) or not all(isinstance(track.get(k), str) for k in ("name", "fingerprint")):
        raise PortraitError(f"{what}: expected the name and the fingerprint of its track, found none; save it again")
    identity = _object(table, "identity", what)
    parts = {part: _curves(_object(table, part, what), part, what) for part in (*NAMED, "gaze", "head")}
    numbers = {name: _number(v, f"{what}, identity '{name}'") for name, v in identity.items()}
    return TrackEdits(track["name"], track["fingerprint"], numbers, **parts)


def apply_edits(track: Track, model: FaceModel, edits: TrackEdits) -> Track:
    """The track with these edits, as the page shows it.

    Raises PortraitError for edits of another track, names that the model doesn't have, frames that aren't there and
    values beyond the bounds.
    """
    if edits.fingerprint != track_fingerprint(track):
        raise PortraitError(
            f"edits: they were made of another track, '{edits.name}' as it was then; give that one, or make them again "
            "in a page of this one"
        )
    p = track.parameters.expanded()
    changes = {name: getattr(p, name).clone() for name in (*NAMED, "gaze", "rotation", "translation")}
    for part in NAMED:
        _set_block(changes[part], getattr(edits, part), part, model)
    gaze = changes["gaze"].flatten(-2)  # a view of the clone
    for name, runs in edits.gaze.items():
        for run in _checked(runs, f"gaze '{name}'", len(track), -MAX_GAZE, MAX_GAZE):
            gaze[run.frames, _known(name, GAZE, "gaze")] = torch.from_numpy(run.values).to(gaze)
    _move_head(changes, edits.head)
    changes["identity"] = track.parameters.identity.clone()
    for name, value in edits.identity.items():
        changes["identity"][..., model.blocks["identity"].index(name, "identity coefficient")] = value
    done = {"page": f"{edits.count} curves"}
    return track.with_parameters(track.parameters.replace(**changes), edits=[*track.facts.get("edits", []), done])


def write_edits(before: Track, after: Track, model: FaceModel, name: str, path: str | os.PathLike) -> int:
    """Writes what makes one track of another of the same frames as edits of it, for `apply_edits`; how many curves.

    Expressions, joints, gaze and the head's pose; ``name``: of the track before, for messages.
    """
    p, q = before.parameters.expanded(), after.parameters.expanded()

    def changed(names: Iterable[str], old: np.ndarray, new: np.ndarray) -> dict[str, list[dict]]:
        columns = {n: k for k, n in enumerate(names) if (old[:, k] != new[:, k]).any()}
        return {n: [{"start": 0, "values": new[:, k].tolist()}] for n, k in columns.items()}

    parts = {
        part: changed(model.blocks[part].names, *(getattr(x, part).double().numpy() for x in (p, q)))
        for part in NAMED
        if model.count(part)
    }
    parts["gaze"] = changed(GAZE, *(x.gaze.flatten(-2).double().numpy() for x in (p, q)))
    turns = changed(TURNS, *(head_angles(x.rotation) for x in (p, q)))
    parts["head"] = turns | changed(PLACE, *(x.translation.double().numpy() for x in (p, q)))
    table = {
        "format": FORMAT,
        "version": VERSION,
        "track": {"name": name, "fingerprint": track_fingerprint(before), "frames": len(before)},
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        **parts,
    }
    write_file(path, json.dumps(table), "edits")
    return sum(map(len, parts.values()))


def _set_block(values: Tensor, curves: Curves, part: str, model: FaceModel) -> None:
    block = model.blocks.get(part) or Block.standard(part, 0)
    for name, runs in curves.items():
        k = _known(name, block.names, "expression" if part == "expression" else "joint")
        low, high = float(block.lower[k]), float(block.upper[k])
        for run in _checked(runs, f"{part} '{name}'", len(values), low, high):
            values[run.frames, k] = torch.from_numpy(run.values).to(values).clamp(low, high)


def _move_head(changes: dict[str, Tensor], curves: Curves) -> None:
    """Sets pose in place; frames whose angles aren't among the curves keep their rotation to the last bit."""
    rotation, translation = changes["rotation"], changes["translation"]
    angles, turned = head_angles(rotation), np.zeros(len(rotation), dtype=bool)
    for name, runs in curves.items():
        k = _known(name, (*TURNS, *PLACE), "head curve")
        low, high = (-FARTHEST, FARTHEST) if name != "z" else (1.0, FARTHEST)
        for run in _checked(runs, f"head '{name}'", len(rotation), low, high):
            if name in TURNS:
                angles[run.frames, k] = run.values
                turned[run.frames] = True
            else:
                translation[run.frames, k - len(TURNS)] = torch.from_numpy(run.values).to(translation)
    if turned.any():
        rotation[torch.from_numpy(turned)] = head_rotation(angles[turned]).to(rotation)


def _checked(runs: tuple[Run, ...], what: str, frames: int, low: float, high: float) -> tuple[Run, ...]:
    for run in runs:
        if run.start + len(run.values) > frames:
            raise PortraitError(
                f"edits, {what}: expected frames 0 to {frames - 1}, got {run.start} to {run.frames.stop - 1}"
            )
        beyond = np.flatnonzero((run.values < low - SLACK) | (run.values > high + SLACK))
        if len(beyond):
            raise PortraitError(
                f"edits, {what}, frame {run.start + beyond[0]}: expected {low:g} to {high:g}, "
                f"got {run.values[beyond[0]]:g}"
            )
    return runs


def _known(name: str, names: tuple[str, ...], kind: str) -> int:
    if name not in names:
        if not names:
            raise PortraitError(f"edits, {kind} '{name}': this model has none; give the model that the track is of")
        raise unknown_name(kind, name, names)
    return names.index(name)


def _object(table: dict, name: str, what: str) -> dict:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise PortraitError(f"{what}, '{name}': expected names and curves, found {type(found).__name__}")
    return found


def _curves(table: dict, part: str, what: str) -> dict[str, tuple[Run, ...]]:
    return {name: tuple(_runs(runs, f"{what}, {part} '{name}'")) for name, runs in table.items()}


def _runs(runs: object, where: str) -> list[Run]:
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise PortraitError(f"{where}: expected a list of runs of frames, such as {{'start': 0, 'values': [0.5]}}")
    found, free = [], 0
    for run in runs:
        start, values = run.get("start"), run.get("values")
        if not isinstance(start, int) or isinstance(start, bool) or start < free:
            raise PortraitError(f"{where}: expected a first frame of {free} or later, got {start!r}")
        if not isinstance(values, list) or not values:
            raise PortraitError(f"{where}, frame {start}: expected a list of values, got {values!r:.40}")
        found.append(Run(start, np.array([_number(v, f"{where}, frame {start + i}") for i, v in enumerate(values)])))
        free = start + len(values)
    return found


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PortraitError(f"{where}: expected a number, got {value!r:.40}")
    if abs(value) > FARTHEST:
        raise PortraitError(f"{where}: expected a number up to {FARTHEST:g}, got {value:.4g}")
    return float(value)
