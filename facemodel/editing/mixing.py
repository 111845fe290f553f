"""One clip's performance on another clip's face: identity, reflectance, light and focal stay the target's.

`mix` takes two tracks and gives one, to be drawn over the target's frames; `online_mixing` does it frame by frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel, check_same_model
from facemodel.editing.contact import Contacts, carry_contacts
from facemodel.editing.edits import couple_lids
from facemodel.editing.neutral import (
    neutral_expression,
    neutral_frame,
    neutral_joints,
    relative_expression,
    relative_joints,
    resting,
)
from facemodel.editing.poses import PoseReference, limit_rotation, relative_pose, same_place
from facemodel.editing.smoothing import smooth_parameters
from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError, unknown_name

TAKE = ("expression", "pose", "gaze")


def mix(
    source: Track,
    target: Track,
    model: FaceModel,
    take: Sequence[str] = TAKE,
    *,
    absolute: bool = False,
    source_neutral: int | None = None,
    target_neutral: int | None = None,
    beyond: bool = False,
    smooth: float = 0.0,
) -> Track:
    """The target's face doing what the source does.

    The result has the source's frames and times and the target's frame size, identity, reflectance, focal length
    and light. What isn't taken, and the light, come frame by frame from the target, which plays forwards and
    backwards in turn while the source lasts: ``facts["target_frames"]`` says which of its frames is behind each
    frame, so that the result can be drawn over the target's video. A frame is TRACKED where both are.

    - expression, joints: relative to neutral frames, target's neutral + source - source's neutral within the model's
      bounds, so that what the fit put into the source's expression to explain its identity stays behind; of a mouth
      that is open there, as much as one at rest is (`neutral.resting`). Lids and lips that touch in the source touch
      in the result (`contact`).
    - pose: relative to each clip's most frontal poses (`poses`). The head moves across the picture by as many head
      widths, and grows in the same proportion, as in the source, and turns hardly further than either clip does.
    - gaze: relative to each clip's median, which is mostly "into the camera": it takes out the constant error
      of a person's eye axes. Lids (eyeLook shapes) follow the gaze of the result.

    Args:
        take: any of "expression", "pose", "gaze".
        absolute: copy expression and gaze as they are, and the pose so that the head is at the same place in the
            picture and as tall against it as in the source.
        source_neutral, target_neutral: frames; None finds them (``neutral_frame``).
        beyond: let relative poses turn further than either clip does.
        smooth: seconds, see ``smoothing.smooth_parameters``.

    Raises:
        PortraitError: unknown name in ``take``, tracks of another model, a neutral frame out of range or without
            a face, a clip without any face.
    """
    for name in take:
        if name not in TAKE:
            raise unknown_name("part to take", name, TAKE)
    for role, track in (("source", source), ("target", target)):
        _check(role, track, model)
    neutral = {
        "source": neutral_frame(source, model, source_neutral, "source"),
        "target": neutral_frame(target, model, target_neutral, "target"),
    }
    backing = backing_frames(source.times, target.times)
    s, t = source.parameters.expanded(), target.parameters.expanded()
    names = ("illumination", "gaze", "expression", "joints", "rotation", "translation")
    changes: dict[str, Tensor] = {name: getattr(t[backing], name) for name in names}
    facts: dict = {"take": list(take), "absolute": absolute, "neutral": neutral, "smooth": smooth}
    if "pose" in take and absolute:
        zoom = (t.focal[0] / target.height) / (s.focal[0] / source.height)
        changes["rotation"], changes["translation"] = same_place((s.rotation, s.translation), float(zoom))
    elif "pose" in take:
        references = [PoseReference.of_track(track) for track in (source, target)]
        rotation, changes["translation"] = relative_pose((s.rotation, s.translation), *references)
        limited, further = limit_rotation(rotation, *references)
        changes["rotation"] = rotation if beyond else limited
        facts["pose"] = {
            **{role: reference.facts() for role, reference in zip(("source", "target"), references)},
            "beyond": beyond,
            "limited_frames": 0 if beyond else int(further.sum()),
        }
    if "gaze" in take:
        changes["gaze"] = s.gaze + (0 if absolute else median_gaze(target) - median_gaze(source))
    if "expression" in take:
        changes |= _expression(source, target, model, neutral, absolute)
    expression = couple_lids(model.blocks["expression"].clamp(changes["expression"]), changes["gaze"], model)
    if "expression" in take and (contacts := _contacts(source, target, model, neutral)):
        expression = carry_contacts((contacts[0], s.expression, s.joints), (contacts[1], expression, changes["joints"]))
    changes["expression"] = expression

    status = _status(source.status, target.status[backing])
    parameters = target.parameters.replace(**changes)
    if smooth:
        parameters = smooth_parameters(parameters, model, status, source.fps, smooth)
    facts |= {role: track.facts.get("source") for role, track in (("source", source), ("target", target))}
    return replace(
        target,
        parameters=parameters,
        times=source.seconds,
        status=status,
        confidence=torch.minimum(source.confidence, target.confidence[backing]),
        landmarks=None,
        energies={},
        spread={},
        visibility={},
        facts={"source": target.facts.get("source"), "target_frames": backing.tolist(), "mixed": facts},
    )


def _expression(
    source: Track, target: Track, model: FaceModel, neutral: dict[str, int], absolute: bool
) -> dict[str, Tensor]:
    """(F, E) expression and (F, J) joints of the result; see `mix`."""
    s = source.parameters.expanded()
    if absolute:
        return {"expression": s.expression.clone(), "joints": s.joints.clone()}
    frames = (source, neutral["source"]), (target, neutral["target"])
    of_source, of_target = (resting(neutral_expression(*frame), model) for frame in frames)
    return {
        "expression": relative_expression(s.expression, of_source, of_target, model),
        "joints": relative_joints(s.joints, *(neutral_joints(*frame) for frame in frames), model),
    }


def _contacts(
    source: Track, target: Track, model: FaceModel, neutral: dict[str, int]
) -> tuple[Contacts, Contacts] | None:
    found = [
        Contacts.of(model, track.parameters.expanded().identity[0], neutral_expression(track, neutral[role]))
        for role, track in (("source", source), ("target", target))
    ]
    return None if None in found else tuple(found)


def backing_frames(source_times: Tensor, target_times: Tensor) -> Tensor:
    """(F,) int64: the target's frame shown at each of the source's times, the target played to and fro."""
    last = float(target_times[-1] - target_times[0])
    if last <= 0:
        return torch.zeros(len(source_times), dtype=torch.int64)
    elapsed = (source_times - source_times[0]).double().numpy()
    folded = last - np.abs(elapsed % (2 * last) - last)
    times = (target_times - target_times[0]).double().numpy()
    middles = (times[1:] + times[:-1]) / 2
    return torch.from_numpy(np.searchsorted(middles, folded - 1e-6, side="left")).long()


def _check(role: str, track: Track, model: FaceModel) -> None:
    check_same_model(f"{role} track: fitted", track, model)
    if not track.tracked.any():
        raise PortraitError(f"{role} track: no face was found in any of its {len(track)} frames; use another video")


def median_gaze(track: Track) -> Tensor:
    """(2, 2) radians, of the frames with a face."""
    return track.parameters.expanded().gaze[track.tracked].median(0).values


def _status(source: Tensor, target: Tensor) -> Tensor:
    flags = {name: int(FrameStatus[name]) for name in ("TRACKED", "CUT", "SEVERAL_FACES", "UNCERTAIN")}
    both = (source & target) & flags["TRACKED"]
    doubtful = (source | target) & flags["UNCERTAIN"]
    kept = (target & flags["SEVERAL_FACES"]) | ((source | target) & flags["CUT"])
    return torch.where(both > 0, both | doubtful | kept, kept & flags["CUT"])


def is_mixed(track: Track) -> bool:
    """Whether a track was made by ``mix``, so that it knows the target's frames."""
    return "target_frames" in track.facts


def target_frames(track: Track) -> list[int]:
    """Which frame of the target's video is behind each frame; a track that wasn't mixed is its own target."""
    return [int(k) for k in track.facts.get("target_frames", range(len(track)))]
