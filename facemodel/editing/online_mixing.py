"""Mixing frame by frame, while the performance is still going on; ``mixing.mix`` is the same for whole clips."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from facemodel.base import FaceModel
from facemodel.editing.contact import Contacts, carry_contacts
from facemodel.editing.edits import couple_lids
from facemodel.editing.mixing import median_gaze
from facemodel.editing.neutral import (
    activity,
    neutral_expression,
    neutral_frame,
    neutral_joints,
    relative_expression,
    relative_joints,
    resting,
)
from facemodel.editing.poses import PoseReference, limit_rotation, relative_pose
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError


@dataclass(frozen=True)
class Reference:
    """What one person's performance is counted against."""

    expression: Tensor  # (E,) neutral
    joints: Tensor  # (J,) neutral, radians
    gaze: Tensor  # (2, 2) rad, looking into the camera
    pose: PoseReference
    contacts: Contacts | None

    @classmethod
    def of_track(cls, track: Track, model: FaceModel) -> Reference:
        """As ``mix`` has it. PortraitError where no frame has a face."""
        if not track.tracked.any():
            raise PortraitError(f"track: no face was found in any of its {len(track)} frames; use another video")
        frame = neutral_frame(track, model)
        expression, identity = neutral_expression(track, frame), track.parameters.expanded().identity[0]
        return cls(
            expression,
            neutral_joints(track, frame),
            median_gaze(track),
            PoseReference.of_track(track),
            Contacts.of(model, identity, expression),
        )

    @classmethod
    def of_frames(cls, frames: FaceParameters, model: FaceModel, calmest: int = 3) -> Reference:
        """Of a performance's first frames (F, ...): so many of the calmest ones' median expression, the median gaze,
        the most frontal pose.

        How far the performance will turn isn't known then, so that the result may turn as far as it does.
        """
        p = frames.expanded()
        calm = p[activity(p, model).argsort()[:calmest]]
        expression = calm.expression.median(0).values
        joints = calm.joints.median(0).values if model.count("joints") else calm.joints[0]
        contacts = Contacts.of(model, p.identity[0], expression)
        pose = PoseReference.of_frames(p).unlimited()
        return cls(expression, joints, p.gaze.median(0).values, pose, contacts)


@dataclass(frozen=True)
class OnlineMixer:
    """Puts each frame of a performance on the target's face: expression, pose and gaze, all relative as in ``mix``.

    face: the target's identity, reflectance, focal length and light, without leading dimensions.
    """

    source: Reference
    target: Reference
    face: FaceParameters
    model: FaceModel

    def __call__(self, frame: FaceParameters) -> FaceParameters:
        """Parameters of a frame of the target, of those of a frame of the source; neither has leading dimensions."""
        source, target, model = self.source, self.target, self.model
        rest = (resting(one.expression, model) for one in (source, target))
        expression = relative_expression(frame.expression[None], *rest, model)
        joints = relative_joints(frame.joints[None], source.joints, target.joints, model)
        rotation, translation = relative_pose((frame.rotation[None], frame.translation[None]), source.pose, target.pose)
        gaze = frame.gaze + target.gaze - source.gaze
        expression = couple_lids(expression, gaze[None], model)
        if source.contacts and target.contacts:
            performed = source.contacts, frame.expression[None], frame.joints[None]
            expression = carry_contacts(performed, (target.contacts, expression, joints))
        return self.face.replace(
            expression=expression[0],
            joints=joints[0],
            rotation=limit_rotation(rotation, source.pose, target.pose)[0][0],
            translation=translation[0],
            gaze=gaze,
        )


def steady_face(track: Track) -> FaceParameters:
    """A target's identity, reflectance and focal length under the clip's median light; otherwise its first face."""
    p = track.parameters.expanded()[track.tracked]
    return p[0].replace(illumination=p.illumination.median(0).values)
