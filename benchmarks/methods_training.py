"""Methods trained in ``benchmarks.methods``: all on the same people, for as many minutes of the processor's time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from foundation.progress import Report, ignore
from neural_render.corpus import Faces, gather
from neural_render.methods.base import METHODS, Method
from neural_render.methods.clip import Clip

FACES = 10_000  # frames of a clip: all


def of_people(clips: Sequence[Clip], work: Path, size: int, report: Report = ignore) -> Faces:
    """Of the test people: all frames, with action units."""
    return gather(clips, work / f"unseen-{size}", size, frames_a_clip=FACES, action_units=True, report=report)


def learns_from_many(name: str) -> bool:
    """Whether a method learns from many people's clips."""
    return METHODS[name].training is not None and METHODS[name].training.several


def shows_one(method: Method) -> bool:
    """Whether a method's weights show one person: whom they were adapted to, or whose clip they were trained on."""
    return method.training is not None and not (method.training.several and method.target.pictures)


def weights_path(method: Method, work: Path, name: str = "weights") -> Path:
    """Where a training's weights are."""
    return work / method.name / name / "weights.safetensors"


def train(
    method: Method, clips: Sequence[Clip], work: Path, size: int, minutes: float, *,
    values: Mapping[str, object] | None = None, name: str = "weights", report: Report = ignore,
) -> Path:  # fmt: skip
    """The weights of so many minutes; a training that was stopped, or had fewer, is gone on with.

    values: options that aren't the default. Face crops are shared: a method finds those that another one made.
    """
    method.clock = time.process_time
    known = {f.name for f in fields(method.Options)}
    given = {"size": size} if "size" in known else {}
    options = method.options(minutes=minutes, **given, **(values or {}))
    out = weights_path(method, work, name)
    folder = out.parent
    folder.mkdir(parents=True, exist_ok=True)
    units = method.training.action_units or getattr(options, "units", False) is True
    shared = work / f"faces-{size}-{'units' if units else 'plain'}"
    shared.mkdir(exist_ok=True)
    if not (folder / "faces").exists():
        (folder / "faces").symlink_to(shared.resolve())
    method.train(clips, out, options, work=folder, report=report)
    return out
