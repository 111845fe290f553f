"""A clip's neutral expression, which is where its expressions and joints are counted from.

A fit explains part of who someone is by expression: a face at rest has a little of some shapes. Mixing and
`edits.from_neutral` ask for the frame at rest, and count from it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.gaze import EYE_LOOK_NAMES
from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus, Track

AJAR = 0.15
"""Of jawOpen, up to which a neutral frame's mouth is somebody's at rest."""


def neutral_frame(track: Track, model: FaceModel, frame: int | None = None, role: str = "track") -> int:
    """The tracked frame with the least expression (`activity`), or ``frame`` checked.

    Doubtful frames are passed over where there are others.
    """
    if frame is not None:
        track.check_frame(frame, f"{role} neutral frame")
        return frame
    frames = confident_frames(track)
    return int(frames[int(activity(track.parameters.expanded()[frames], model).argmin())])


def confident_frames(track: Track) -> Tensor:
    """(N,) int64: the tracked frames, without doubtful ones where there are others."""
    certain = track.tracked & ~track.where(FrameStatus.UNCERTAIN)
    return torch.nonzero(certain if certain.any() else track.tracked).flatten()


def activity(parameters: FaceParameters, model: FaceModel) -> Tensor:
    """(F,): how far all expressions but the eyeLook shapes, and all joints, are from rest, in standard deviations."""
    looks = {model.arkit[name] for name in EYE_LOOK_NAMES if name in model.arkit}
    counted = [k for k in range(model.count("expression")) if k not in looks]
    total = _distances(parameters.expression, model, "expression")[..., counted].sum(-1)
    return total + _distances(parameters.joints, model, "joints").sum(-1) if model.count("joints") else total


def _distances(values: Tensor, model: FaceModel, name: str) -> Tensor:
    block = model.blocks[name]
    return ((values - block.mean.to(values)) / block.std.to(values)).abs()


def neutral_expression(track: Track, frame: int, reach: int = 2) -> Tensor:
    """(E,) expression of a neutral frame: the median with its tracked neighbours of the same shot, against jitter."""
    return track.parameters.expanded().expression[_neighbours(track, frame, reach)].median(0).values


def neutral_joints(track: Track, frame: int, reach: int = 2) -> Tensor:
    """(J,) radians, as `neutral_expression` has it."""
    joints = track.parameters.expanded().joints
    return joints[_neighbours(track, frame, reach)].median(0).values if joints.shape[-1] else joints[0]


def _neighbours(track: Track, frame: int, reach: int) -> list[int]:
    frames = [frame]
    for step in (-1, 1):
        k = frame
        for _ in range(reach):
            cut = k if step < 0 else k + 1  # a cut lies before the frame that has the flag
            if cut < len(track) and track.status[cut] & int(FrameStatus.CUT):
                break
            k += step
            if not 0 <= k < len(track) or not track.tracked[k]:
                break
            frames.append(k)
    return sorted(frames)


def resting(neutral: Tensor, model: FaceModel) -> Tensor:
    """A neutral expression (E,) less what nobody has at rest: in a clip whose mouth never closes, that's acted."""
    jaw = model.arkit.get("jawOpen")
    if jaw is None or neutral[jaw] <= AJAR:
        return neutral
    mouth = [k for name, k in model.arkit.items() if name.startswith(("mouth", "jaw"))]
    expression = neutral.clone()
    expression[mouth] *= AJAR / neutral[jaw]
    return expression


def relative_expression(
    expression: Tensor, of_source: Tensor, of_target: Tensor, model: FaceModel, most_gain: float = 1.5
) -> Tensor:
    """of_target + expression - of_source within the model's bounds, with the lids' way to closed kept whole.

    expression: (F, E); of_source, of_target: (E,) neutral ones. eyeBlink above the source's neutral is scaled so
    that 1 stays 1, by at most ``most_gain``.
    """
    change = expression - of_source
    gain = torch.ones_like(of_source)
    for name, k in model.arkit.items():
        if name.startswith("eyeBlink"):
            gain[k] = ((1 - of_target[k]) / (1 - of_source[k]).clamp_min(1e-6)).clamp(0, most_gain)
    change = torch.where(change > 0, change * gain, change)
    return model.blocks["expression"].clamp(of_target + change)


def relative_joints(joints: Tensor, of_source: Tensor, of_target: Tensor, model: FaceModel) -> Tensor:
    """of_target + joints - of_source (F, J) within the model's bounds; as they are where a model has none."""
    return model.blocks["joints"].clamp(of_target + joints - of_source) if model.count("joints") else joints
