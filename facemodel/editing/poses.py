"""Head poses carried from one clip to another, counted from a pose of each that is representative.

A pose is a rotation (..., 3), axis-angle in the model's axes, and a translation (..., 3) mm in the camera's frame.
Angles are yaw, pitch, roll in degrees, as curves have them (`curves`). `mixing` and `online_mixing` call this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from facemodel.editing.neutral import confident_frames
from facemodel.parameters import FaceParameters
from facemodel.track import Track

Pose = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class PosePolicy:
    """What poses are counted from, and how far they may go."""

    frontal: float = 0.1  # share of a clip's frames, the most frontal ones, whose mean pose is the reference
    leeway: float = math.radians(5.0)  # beyond what either clip turns


def head_angles(rotation: Tensor) -> np.ndarray:
    """(..., 3) yaw to the subject's left, pitch up, roll counter-clockwise as the viewer sees it; radians."""
    angles = Rotation.from_rotvec(rotation.reshape(-1, 3).double().cpu().numpy()).as_euler("YXZ")
    return (angles * [1, -1, 1]).reshape(rotation.shape)


def head_rotation(angles: np.ndarray) -> Tensor:
    """The inverse of `head_angles`: R = R_y(yaw) R_x(-pitch) R_z(roll)."""
    flat = np.asarray(angles).reshape(-1, 3) * [1, -1, 1]
    return torch.from_numpy(Rotation.from_euler("YXZ", flat).as_rotvec()).reshape(np.shape(angles))


@dataclass(frozen=True)
class PoseReference:
    """What one clip's poses are counted from, and how far it turns."""

    rotation: Tensor  # (3,)
    translation: Tensor  # (3,) mm
    lowest: Tensor  # (3,) float64 radians: the clip's smallest yaw, pitch, roll
    highest: Tensor  # (3,)

    @classmethod
    def of_frames(cls, frames: FaceParameters, policy: PosePolicy = PosePolicy()) -> PoseReference:
        """Of frames (F, ...) that show a face: the mean of the most frontal of them, at the clip's usual roll.

        One frame alone, the first above all, may be any: counted from a turned one, a straight look turns the other.
        """
        p = frames.expanded()
        angles = head_angles(p.rotation)
        turned = np.hypot(angles[:, 0], angles[:, 1])
        chosen = np.argsort(turned, kind="stable")[: max(1, math.ceil(policy.frontal * len(turned)))]
        yaw, pitch, roll = (*angles[chosen, :2].mean(0), np.median(angles[:, 2]))
        rotation = head_rotation(np.array([yaw, pitch, roll])).to(p.rotation)
        ends = (torch.from_numpy(end) for end in (angles.min(0), angles.max(0)))
        return cls(rotation, p.translation[chosen].median(0).values, *ends)

    @classmethod
    def of_track(cls, track: Track) -> PoseReference:
        """Of a track's frames that aren't doubtful, where there are such."""
        return cls.of_frames(track.parameters.expanded()[confident_frames(track)])

    def unlimited(self) -> PoseReference:
        """The same of a clip that may turn any way."""
        return replace(
            self, lowest=torch.full_like(self.lowest, -torch.inf), highest=torch.full_like(self.highest, torch.inf)
        )

    def facts(self) -> dict[str, float]:
        """Its angles in degrees, rounded, for a track's facts."""
        degrees = np.degrees(head_angles(self.rotation))
        return {name: round(float(a), 1) for name, a in zip(("yaw", "pitch", "roll"), degrees)}


def relative_pose(pose: Pose, source: PoseReference, target: PoseReference) -> Pose:
    """The target's reference pose, changed as the source's changed from its own to pose, (F, 3) each.

    R = R_source R_source_reference^T R_target_reference; the head moves across the picture by as many head widths, and
    grows in the same proportion, as in the source.
    """
    turns = Rotation.from_rotvec(pose[0].double().cpu().numpy())
    first, start = (Rotation.from_rotvec(r.rotation.double().cpu().numpy()) for r in (source, target))
    rotation = (turns * first.inv() * start).as_rotvec()

    moved, origin, goal = pose[1].double(), source.translation.double(), target.translation.double()
    depth = goal[2] * moved[:, 2:] / origin[2]
    # x / z is the place in the picture; times the first depth it is mm beside the first head, so head widths
    shift = moved[:, :2] / moved[:, 2:] * origin[2] - origin[:2]
    beside = (goal[:2] + shift) * depth / goal[2]
    translation = torch.cat([beside, depth], -1)
    return torch.from_numpy(rotation).to(pose[0]), translation.to(pose[1])


def limit_rotation(
    rotation: Tensor, source: PoseReference, target: PoseReference, policy: PosePolicy = PosePolicy()
) -> tuple[Tensor, Tensor]:
    """Rotations (F, 3) that turn hardly further than either of two clips, and which ones that changed, (F,) bool."""
    angles = head_angles(rotation)
    lowest = torch.minimum(source.lowest, target.lowest).numpy() - policy.leeway
    highest = torch.maximum(source.highest, target.highest).numpy() + policy.leeway
    kept = np.clip(angles, lowest, highest)
    beyond = torch.from_numpy(np.abs(kept - angles).max(-1) > 1e-4).to(rotation.device)
    return torch.where(beyond[:, None], head_rotation(kept).to(rotation), rotation), beyond


def same_place(pose: Pose, zoom: float) -> Pose:
    """A pose at the same place of another picture: ``zoom`` is how many times longer that one's focal length is."""
    translation = pose[1].clone()
    translation[..., 2] *= zoom  # x and y in mm stay, since focal over depth does
    return pose[0].clone(), translation
