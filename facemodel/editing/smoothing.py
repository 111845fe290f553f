"""Smoothing of curves along time, shot by shot, that keeps peaks such as blinks."""

from __future__ import annotations

import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus

SMOOTHED = ("expression", "joints", "rotation", "translation", "gaze")


def shots(status: Tensor) -> list[slice]:
    """The clip's frames between cuts. status: (F,) FrameStatus."""
    cuts = [int(k) for k in torch.nonzero(status & int(FrameStatus.CUT)).flatten() if k > 0]
    edges = [0, *cuts, len(status)]
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


def smooth_parameters(
    parameters: FaceParameters, model: FaceModel, status: Tensor, fps: float, seconds: float
) -> FaceParameters:
    """Expression, joints, pose and gaze smoothed by a Savitzky-Golay filter, a window of ``seconds``, not across cuts.

    The filter fits parabolas, so that it removes jitter and leaves the height of a peak that is wider than the
    window. Expression and joints are kept within the model's bounds afterwards. ``seconds`` of 0, or a window below
    5 frames at this rate, changes nothing (a parabola goes through 3 points).
    """
    changes = {name: getattr(parameters, name).clone() for name in SMOOTHED}
    for shot in shots(status):
        window = _window(seconds, fps, shot.stop - shot.start)
        if window < 5:
            continue
        for name, value in changes.items():
            if value.shape[0] != len(status) or not value.shape[-1]:
                continue  # one for the whole clip, or none
            part = value[shot].detach().cpu().double().numpy()
            filtered = _smooth_rotations(part, window) if name == "rotation" else _filter(part, window)
            value[shot] = torch.from_numpy(filtered).to(value)
    for name in ("expression", "joints"):
        if model.count(name):
            changes[name] = model.blocks[name].clamp(changes[name])
    return parameters.replace(**changes)


def _window(seconds: float, fps: float, frames: int) -> int:
    """An odd number of frames, at most those there are."""
    window = round(seconds * fps)
    window += 1 - window % 2
    return min(window, frames - 1 + frames % 2)


def _filter(curves, window: int):
    from scipy.signal import savgol_filter  # takes most of a second to import, and few commands smooth

    return savgol_filter(curves, window, 2, axis=0, mode="interp")


def _smooth_rotations(axis_angles, window: int):
    """Filters relative to the shot's mean rotation, where rotation vectors are far from their half turn."""
    rotations = Rotation.from_rotvec(axis_angles)
    middle = rotations.mean()
    return (middle * Rotation.from_rotvec(_filter((middle.inv() * rotations).as_rotvec(), window))).as_rotvec()
