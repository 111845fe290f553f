"""Edits of a track: expression shapes by name, gaze, smoothing, and expressions counted from a face at rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from facemodel.editing.neutral import neutral_expression, neutral_frame, relative_expression
from facemodel.editing.smoothing import smooth_parameters
from facemodel.gaze import gaze_to_eye_look
from facemodel.track import Track
from foundation.errors import PortraitError, unknown_name

MAX_GAZE = math.radians(60.0)


def set_expression(track: Track, model, values: Mapping[str, float]) -> Track:
    """Each named shape gets this value in every frame. Raises PortraitError for unknown names, no numbers."""
    return _map_expression(track, model, values, torch.full_like)


def scale_expression(track: Track, model, values: Mapping[str, float]) -> Track:
    """Each named shape is multiplied by this value in every frame."""
    return _map_expression(track, model, values, lambda curve, value: curve * value)


def add_expression(track: Track, model, values: Mapping[str, float]) -> Track:
    """This value is added to each named shape in every frame."""
    return _map_expression(track, model, values, lambda curve, value: curve + value)


def set_gaze(track: Track, model, yaw: float, pitch: float) -> Track:
    """Both eyes look this way in every frame, and the lids go with them (ARKit's eyeLook shapes).

    yaw, pitch: radians in the head's frame; positive yaw is the subject's left, positive pitch up.
    """
    for name, angle in (("yaw", yaw), ("pitch", pitch)):
        if not math.isfinite(angle) or abs(angle) > MAX_GAZE:
            raise PortraitError(
                f"gaze {name}: expected an angle between -60 and 60 degrees, got {math.degrees(angle):g}"
            )
    gaze = torch.tensor([yaw, pitch]).expand(len(track), 2, 2).to(track.parameters.gaze).clone()
    return with_gaze(track, model, gaze)


def with_gaze(track: Track, model, gaze: Tensor) -> Track:
    """A track with gaze (F, 2 eyes, 2) radians, and the eyeLook shapes that go with it."""
    expression = couple_lids(track.parameters.expression, gaze, model.expression_names)
    return track.with_parameters(track.parameters.replace(gaze=gaze, expression=expression))


def couple_lids(expression: Tensor, gaze: Tensor, names: tuple[str, ...]) -> Tensor:
    """Expression (..., E) whose eyeLook shapes follow gaze (..., 2, 2), as ARKit couples the two."""
    expression = expression.clone()
    for name, value in gaze_to_eye_look(gaze).items():
        if name in names:
            expression[..., names.index(name)] = value
    return expression


def from_neutral(track: Track, model, frame: int | None = None) -> tuple[Track, int]:
    """Expressions counted from the clip's face at rest, which has none then, as avatars of other programs want them.

    Lids that close keep closing, and the eyeLook shapes still follow the gaze.

    Args:
        frame: a frame at rest; None finds one (`facemodel.editing.neutral.neutral_frame`).

    Returns:
        The track, and the frame.

    Raises:
        PortraitError: the frame is out of range or has no face.
    """
    frame = neutral_frame(track, model, frame)
    p = track.parameters
    rest = neutral_expression(track, frame)
    expression = relative_expression(p.expression, rest, torch.zeros_like(rest), model.expression_names)
    expression = couple_lids(expression, p.gaze, model.expression_names)
    return track.with_parameters(p.replace(expression=expression)), frame


def smooth_track(track: Track, seconds: float) -> Track:
    """Expression, pose and gaze smoothed over a window of ``seconds``; see ``smoothing.smooth_parameters``."""
    if not math.isfinite(seconds) or seconds < 0:
        raise PortraitError(f"smooth: expected a window in seconds, 0 or more, got {seconds}")
    parameters = smooth_parameters(track.parameters, track.status, track.fps, seconds)
    return track.with_parameters(parameters)


def edit(
    track: Track,
    model,
    *,
    set: Mapping[str, float] | None = None,
    scale: Mapping[str, float] | None = None,
    add: Mapping[str, float] | None = None,
    gaze: tuple[float, float] | None = None,
    smooth: float = 0.0,
    neutral: int | Literal["auto"] | None = None,
) -> Track:
    """All of it in one, in this order: smooth, neutral, scale, add, set, gaze (yaw, pitch in radians).

    ``neutral``: expressions count from that frame, where the face is at rest; "auto" finds it (`from_neutral`).

    The eyeLook shapes move the lids alone, and the eyes turn by ``gaze``, which sets those shapes too.
    What was done is noted in the track's facts.
    """
    done = {"set": dict(set or {}), "scale": dict(scale or {}), "add": dict(add or {}), "gaze": gaze, "smooth": smooth}
    if smooth:
        track = smooth_track(track, smooth)
    if neutral is not None:
        track, done["neutral"] = from_neutral(track, model, None if neutral == "auto" else neutral)
    track = scale_expression(track, model, scale or {})
    track = add_expression(track, model, add or {})
    track = set_expression(track, model, set or {})
    if gaze is not None:
        track = set_gaze(track, model, *gaze)
    edits = [*track.facts.get("edits", []), {k: v for k, v in done.items() if v or k == "neutral"}]
    return track.with_parameters(track.parameters, edits=edits)


def shape_name(name: str, names: tuple[str, ...]) -> str:
    """The model's own spelling of a shape's name, whatever the case of its letters.

    Raises PortraitError with the nearest name where there is none.
    """
    found = {n.lower(): n for n in names}.get(name.strip().lower())
    if found is None:
        raise unknown_name("expression", name, names)
    return found


def _map_expression(track: Track, model, values: Mapping[str, float], function) -> Track:
    names = model.expression_names
    expression = track.parameters.expression.clone()
    for name, value in values.items():
        index = names.index(shape_name(name, names))
        if not math.isfinite(value):
            raise PortraitError(f"expression {name}: expected a number, got {value}")
        expression[..., index] = function(expression[..., index], value).clamp(0.0, 1.0)
    return track.with_parameters(track.parameters.replace(expression=expression))
