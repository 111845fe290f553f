"""One clip's performance on another clip's face: identity, reflectance, light and focal stay the target's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from facemodel.base import check_same_model
from facemodel.editing.edits import couple_lids
from facemodel.editing.neutral import neutral_expression, neutral_frame, relative_expression
from facemodel.editing.smoothing import smooth_parameters
from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError, unknown_name

TAKE = ("expression", "pose", "gaze")


def mix(
    source: Track,
    target: Track,
    model,
    take: Sequence[str] = TAKE,
    *,
    absolute: bool = False,
    source_neutral: int | None = None,
    target_neutral: int | None = None,
    smooth: float = 0.0,
) -> Track:
    """The target's face doing what the source does.

    The result has the source's frames and times and the target's frame size, identity, reflectance, focal length
    and light. What isn't taken, and the light, come frame by frame from the target, which plays forwards and
    backwards in turn while the source lasts: ``facts["target_frames"]`` says which of its frames is behind each
    frame, so that the result can be drawn over the target's video. A frame is TRACKED where both are.

    - expression: relative to neutral frames, clamp(target's neutral + source - source's neutral, 0, 1), so that
      what the fit put into the source's expression to explain its identity stays behind. Lids keep their range:
      a source that closes its eyes closes the target's.
    - pose: relative to the first tracked frames. R = R_source R_source0^T R_target0; the head moves across the
      picture by as many head widths, and grows in the same proportion, as in the source.
    - gaze: relative to each clip's median, which is mostly "into the camera": it takes out the constant error
      of a person's eye axes. Lids (eyeLook shapes) follow the gaze of the result.

    Args:
        take: any of "expression", "pose", "gaze".
        absolute: copy expression and gaze as they are, and the pose so that the head is at the same place in the
            picture and as tall against it as in the source.
        source_neutral, target_neutral: frames; None finds them (``neutral_frame``).
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
    behind = t[backing]
    changes: dict[str, Tensor] = {name: getattr(behind, name) for name in ("illumination", "gaze")}
    changes |= {name: getattr(behind, name) for name in ("expression", "rotation", "translation")}
    if "expression" in take:
        changes["expression"] = s.expression.clone()
        if not absolute:
            of_source = neutral_expression(source, neutral["source"])
            of_target = neutral_expression(target, neutral["target"])
            changes["expression"] = relative_expression(s.expression, of_source, of_target, model.expression_names)
    if "pose" in take:
        pose = _absolute_pose(source, target) if absolute else _relative_pose(source, target)
        changes["rotation"], changes["translation"] = pose
    if "gaze" in take:
        offset = 0 if absolute else _median_gaze(target) - _median_gaze(source)
        changes["gaze"] = s.gaze + offset
    changes["expression"] = couple_lids(changes["expression"].clamp(0, 1), changes["gaze"], model.expression_names)

    status = _status(source.status, target.status[backing])
    parameters = target.parameters.replace(**changes)
    if smooth:
        parameters = smooth_parameters(parameters, status, source.fps, smooth)
    return replace(
        target,
        parameters=parameters,
        times=source.times - source.times[0],
        status=status,
        confidence=torch.minimum(source.confidence, target.confidence[backing]),
        landmarks=None,
        energies={},
        facts={
            "source": target.facts.get("source"),
            "target_frames": backing.tolist(),
            "mixed": {
                "take": list(take),
                "absolute": absolute,
                "neutral": neutral,
                "smooth": smooth,
                "source": source.facts.get("source"),
                "target": target.facts.get("source"),
            },
        },
    )


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


def _check(role: str, track: Track, model) -> None:
    check_same_model(f"{role} track: fitted", track, model)
    if not track.tracked.any():
        raise PortraitError(f"{role} track: no face was found in any of its {len(track)} frames; use another video")


def _first(track: Track) -> int:
    return int(torch.nonzero(track.tracked)[0])


def _median_gaze(track: Track) -> Tensor:
    """(2, 2) radians."""
    return track.parameters.expanded().gaze[track.tracked].median(0).values


def _relative_pose(source: Track, target: Track) -> tuple[Tensor, Tensor]:
    """(F, 3) axis-angle and (F, 3) mm. See ``mix``."""
    s, t = source.parameters.expanded(), target.parameters.expanded()
    first, reference = _first(source), _first(target)
    return relative_pose(
        (s.rotation, s.translation),
        (s.rotation[first], s.translation[first]),
        (t.rotation[reference], t.translation[reference]),
    )


Pose = tuple[Tensor, Tensor]
"""Rotation (..., 3) axis-angle and translation (..., 3) mm."""


def relative_pose(pose: Pose, of_source: Pose, of_target: Pose) -> Pose:
    """The target's pose of_target, changed as the source's changed from of_source to pose, (F, 3) each; see ``mix``."""
    turns = Rotation.from_rotvec(pose[0].double().cpu().numpy())
    first, start = (Rotation.from_rotvec(p[0].double().cpu().numpy()) for p in (of_source, of_target))
    rotation = (turns * first.inv() * start).as_rotvec()

    moved, origin, goal = (p[1].double() for p in (pose, of_source, of_target))
    depth = goal[2] * moved[:, 2:] / origin[2]
    # x / z is the place in the picture; times the first depth it is mm beside the first head, so head widths
    shift = moved[:, :2] / moved[:, 2:] * origin[2] - origin[:2]
    beside = (goal[:2] + shift) * depth / goal[2]
    translation = torch.cat([beside, depth], -1)
    return torch.from_numpy(rotation).to(pose[0]), translation.to(pose[1])


def _absolute_pose(source: Track, target: Track) -> tuple[Tensor, Tensor]:
    s, t = source.parameters.expanded(), target.parameters.expanded()
    zoom = (t.focal[0] / target.height) / (s.focal[0] / source.height)
    translation = s.translation.clone()
    translation[:, 2] *= zoom  # x and y in mm stay, since focal over depth does
    return s.rotation.clone(), translation


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
