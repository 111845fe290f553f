"""Edits of a track: expressions and joints by name, gaze, smoothing, and expressions counted from a face at rest.

Values stay within the model's bounds (`Block.clamp`), whatever these are: [0, 1] for ARKit's shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.editing.contact import Contacts, carry_contacts
from facemodel.editing.neutral import (
    neutral_expression,
    neutral_frame,
    neutral_joints,
    relative_expression,
    relative_joints,
)
from facemodel.editing.smoothing import smooth_parameters
from facemodel.gaze import EYE_LOOK_NAMES, gaze_to_eye_look
from facemodel.track import Track
from foundation.errors import PortraitError, unknown_name

MAX_GAZE = math.radians(60.0)
NAMED = ("expression", "joints")
"""The blocks whose coefficients are edited by name."""


def set_expression(track: Track, model: FaceModel, values: Mapping[str, float]) -> Track:
    """Each named expression or joint gets this value in every frame; joints in radians.

    Raises PortraitError for unknown names, no numbers.
    """
    return _map_named(track, model, values, torch.full_like)


def scale_expression(track: Track, model: FaceModel, values: Mapping[str, float]) -> Track:
    """Each named expression or joint is multiplied by this value in every frame."""
    return _map_named(track, model, values, lambda curve, value: curve * value)


def add_expression(track: Track, model: FaceModel, values: Mapping[str, float]) -> Track:
    """This value is added to each named expression or joint in every frame."""
    return _map_named(track, model, values, lambda curve, value: curve + value)


def set_gaze(track: Track, model: FaceModel, yaw: float, pitch: float) -> Track:
    """Both eyes look this way in every frame, and the lids go with them (ARKit's eyeLook shapes).

    yaw, pitch: radians in the head's frame; positive yaw is the subject's left, positive pitch up.
    Raises PortraitError for larger angles than eyes turn, and for a model with neither eyes nor lids that follow.
    """
    if not any(name in model.arkit for name in EYE_LOOK_NAMES):
        model.require("eyes", "gaze")
    for name, angle in (("yaw", yaw), ("pitch", pitch)):
        if not math.isfinite(angle) or abs(angle) > MAX_GAZE:
            raise PortraitError(
                f"gaze {name}: expected an angle between -60 and 60 degrees, got {math.degrees(angle):g}"
            )
    gaze = torch.tensor([yaw, pitch]).expand(len(track), 2, 2).to(track.parameters.gaze).clone()
    return with_gaze(track, model, gaze)


def with_gaze(track: Track, model: FaceModel, gaze: Tensor) -> Track:
    """A track with gaze (F, 2 eyes, 2) radians, and the eyeLook shapes that go with it."""
    expression = couple_lids(track.parameters.expression, gaze, model)
    return track.with_parameters(track.parameters.replace(gaze=gaze, expression=expression))


def couple_lids(expression: Tensor, gaze: Tensor, model: FaceModel) -> Tensor:
    """Expression (..., E) whose eyeLook shapes follow gaze (..., 2, 2), as ARKit couples the two."""
    expression, arkit = expression.clone(), model.arkit
    for name, value in gaze_to_eye_look(gaze).items():
        if name in arkit:
            expression[..., arkit[name]] = value
    return expression


def from_neutral(track: Track, model: FaceModel, frame: int | None = None) -> tuple[Track, int]:
    """Expressions and joints counted from the clip's face at rest, which has none then, as avatars want them.

    Lids and lips that touch keep touching, and the eyeLook shapes still follow the gaze.

    Args:
        frame: a frame at rest; None finds one (`facemodel.editing.neutral.neutral_frame`).

    Returns:
        The track, and the frame.

    Raises:
        PortraitError: the frame is out of range or has no face.
    """
    frame = neutral_frame(track, model, frame)
    p, rest = track.parameters.expanded(), neutral_expression(track, frame)
    expression = relative_expression(p.expression, rest, model.blocks["expression"].mean.to(rest), model)
    joints = p.joints
    if model.count("joints"):
        joints = relative_joints(joints, neutral_joints(track, frame), model.blocks["joints"].mean.to(joints), model)
    expression = couple_lids(expression, p.gaze, model)
    before, after = (Contacts.of(model, p.identity[0], r) for r in (rest, None))
    if before and after:
        expression = carry_contacts((before, p.expression, p.joints), (after, expression, joints))
    return track.with_parameters(track.parameters.replace(expression=expression, joints=joints)), frame


def smooth_track(track: Track, model: FaceModel, seconds: float) -> Track:
    """Expression, pose and gaze smoothed over a window of ``seconds``; see ``smoothing.smooth_parameters``."""
    if not math.isfinite(seconds) or seconds < 0:
        raise PortraitError(f"smooth: expected a window in seconds, 0 or more, got {seconds}")
    parameters = smooth_parameters(track.parameters, model, track.status, track.fps, seconds)
    return track.with_parameters(parameters)


def edit(
    track: Track,
    model: FaceModel,
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
        track = smooth_track(track, model, smooth)
    if neutral is not None:
        track, done["neutral"] = from_neutral(track, model, None if neutral == "auto" else neutral)
    track = scale_expression(track, model, scale or {})
    track = add_expression(track, model, add or {})
    track = set_expression(track, model, set or {})
    if gaze is not None:
        track = set_gaze(track, model, *gaze)
    edits = [*track.facts.get("edits", []), {k: v for k, v in done.items() if v or k == "neutral"}]
    return track.with_parameters(track.parameters, edits=edits)


def find_coefficient(name: str, model: FaceModel) -> tuple[str, int]:
    """The block, "expression" or "joints", and the index of a name, whatever the case of its letters.

    Raises PortraitError with the nearest name where there is none.
    """
    blocks = {block: model.blocks[block].names for block in NAMED if model.count(block)}
    for block, names in blocks.items():
        lowered = [n.lower() for n in names]
        if name.strip().lower() in lowered:
            return block, lowered.index(name.strip().lower())
    raise unknown_name("expression", name, [n for names in blocks.values() for n in names])


def _map_named(
    track: Track, model: FaceModel, values: Mapping[str, float], function: Callable[[Tensor, float], Tensor]
) -> Track:
    changed = {block: getattr(track.parameters, block).clone() for block in NAMED if model.count(block)}
    for name, value in values.items():
        block, index = find_coefficient(name, model)
        if not math.isfinite(value):
            raise PortraitError(f"expression {name}: expected a number, got {value}")
        bounds = model.blocks[block]
        edited = function(changed[block][..., index], value)
        changed[block][..., index] = edited.clamp(float(bounds.lower[index]), float(bounds.upper[index]))
    return track.with_parameters(track.parameters.replace(**changed))
