"""What services ask a method of reenactment, and the clips that they give it."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from facemodel import PortraitError
from foundation.progress import Report, ignore
from neural_render.methods.base import METHODS, Method, TrainingBudget, header_of
from neural_render.methods.clip import Clip
from neural_render.methods.finding import detected
from portrait.services.checks import check_number
from portrait.services.events import Notes
from portrait.services.fitting import FitOptions, fit_clip
from portrait.services.setup import Setup
from portrait.tracks import altered, check_video, is_track, load_track
from portrait.video import open_frames

LONGEST = 1e6  # minutes of a training
LARGEST = 2.0**31  # that a whole number may be


def make_options(name: str, given: Mapping[str, object], device: str = "cpu") -> TrainingBudget:
    """A method's options from values by name; text is read as the option's type says.

    Raises:
        PortraitError: unknown method, an option that it doesn't have (the nearest is suggested), a value that can't be.
    """
    method = METHODS[name]
    types_of = typing.get_type_hints(method.Options)
    known = {f.name for f in fields(method.Options)}
    values = {k: _read(k, v, types_of[k]) if k in known and isinstance(v, str) else v for k, v in given.items()}
    check_number("minutes", values.get("minutes"), 0, LONGEST, above=True)
    for option, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            check_number(option.replace("_", "-"), value, -LARGEST, LARGEST)
    try:
        return method.options(**values, device=device)
    except PortraitError as error:
        text = str(error)
        option = text.partition(":")[0]
        raise PortraitError(text if text.startswith("unknown") or not option else f"--{text}") from None


def _read(option: str, text: str, kind: object) -> object:
    """A value out of what was typed."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if types.NoneType in kinds and text.lower() == "none":
        return None
    for one in kinds:
        try:
            if one is bool:
                return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
            if one in (int, float, str):
                value = one(text)
                if one is str or math.isfinite(value):
                    return value
            if typing.get_origin(one) in (Mapping, dict):
                pairs = [part.split("=") for part in text.split(",") if part.strip()]
                return {name.strip(): float(number) for name, number in pairs}
            if typing.get_origin(one) is tuple:
                inner = typing.get_args(one)[0]
                return tuple(_read(option, part.strip(), inner) for part in text.split(",") if part.strip())
        except (ValueError, KeyError):
            continue
    names = " or ".join("none" if one is types.NoneType else getattr(one, "__name__", str(one)) for one in kinds)
    raise PortraitError(f"--option {option}: expected {names}, got '{text}'")


def find(name: str) -> Method:
    """A method by name; PortraitError with the nearest one for an unknown one."""
    return METHODS[name]()


def describe_network(path: Path) -> tuple[str, dict]:
    """What goes into an exported network and comes out, in words, and what its method says of it."""
    from neural_render.methods.onnx_file import open_onnx

    session, header = open_onnx(path)
    sides = [
        ", ".join(f"{v.name} (N, {', '.join(map(str, v.shape[1:]))})" for v in values)
        for values in (session.get_inputs(), session.get_outputs())
    ]
    return " to ".join(sides), dict(find(header["method"]).describe(header))


def describe_weights(path: Path) -> dict:
    """What the method of a weights file says of it."""
    header = header_of(path)
    return {"method": header["method"]} | dict(find(header["method"]).describe(header))


# -- clips ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Footage:
    """A clip as a user gives it: its file, and its track where that is there already."""

    video: Path
    track: Path | None = None


def footage(inputs: Sequence[Path]) -> tuple[Footage, ...]:
    """``TRACK VIDEO`` and ``CLIP...``, in any order: a track comes before its video.

    Raises:
        PortraitError: a track without a video behind it, nothing at all.
    """
    found, waiting = [], None
    for path in inputs:
        if not path.exists():
            raise PortraitError(f"'{path}': no such track or clip; check the name")
        if waiting is None and is_track(path):
            waiting = path
        else:
            found.append(Footage(path, waiting))
            waiting = None
    if waiting is not None:
        raise PortraitError(f"track '{waiting}': its video is needed too; give it behind the track")
    if not found:
        raise PortraitError("clips: expected TRACK VIDEO, or CLIP..., got nothing")
    return tuple(found)


def clip_of(
    given: Footage,
    work: Path,
    *,
    setup: Setup = Setup(),
    fit: FitOptions = FitOptions(),
    notes: Notes | None = None,
    report: Report = ignore,
    frames=None,
) -> Clip:
    """A clip whose track is read, or is fitted in the folder ``work`` when a method asks for it.

    Raises:
        PortraitError: a file that can't be read, a track that isn't the video's own.
    """
    model = setup.face_model()
    if given.track is not None:
        track = load_track(given.track, model)
        if (how := altered(track)) is not None:
            raise PortraitError(
                f"track '{given.track}': was {how}; train with the target's own track, which 'portrait fit' wrote"
            )
        frames = check_video(given.video, track, None if notes is None else notes.add)
        return Clip.of_track(track, frames, model, person=given.video.stem)
    frames = frames or open_frames(given.video)
    place = work / "tracks" / f"{given.video.name}.track"
    return Clip(
        frames, frames.width, frames.height, frames.fps, given.video.stem, frames.source, model,
        lambda _: fit_clip(given.video, place, fit, setup=setup, replace_own=True, report=report).track,
        detected(fit.detector, setup.device, report),
    )  # fmt: skip


def times_of(clip: Clip) -> list[float]:
    """Seconds of each frame after the first, of a track or, read through, of pictures."""
    if "track" in clip.__dict__:
        return clip.track.seconds.tolist()
    return [time for _, time, _ in clip.frames]


def has_track(clip: Clip) -> bool:
    """Whether a clip's track is there, without anything to be fitted."""
    return "track" in clip.__dict__
