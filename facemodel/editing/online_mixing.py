"""Mixing frame by frame, while the performance is still going on; ``mixing.mix`` is the same for whole clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facemodel.editing.edits import couple_lids
from facemodel.editing.mixing import relative_pose
from facemodel.editing.neutral import neutral_expression, neutral_frame, relative_expression
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError

CALM = 3  # of the first frames, how many make the neutral expression


@dataclass(frozen=True)
class Reference:
    """What one person's performance is counted against."""

    expression: Tensor  # (E,) neutral
    gaze: Tensor  # (2, 2) rad, looking into the camera
    rotation: Tensor  # (3,) axis-angle, of the first frame
    translation: Tensor  # (3,) mm, of the first frame

    @classmethod
    def of_track(cls, track: Track, model) -> Reference:
        """As ``mix`` has it. PortraitError where no frame has a face."""
        if not track.tracked.any():
            raise PortraitError(f"track: no face was found in any of its {len(track)} frames; use another video")
        p, first = track.parameters.expanded()[track.tracked], int(torch.nonzero(track.tracked)[0])
        expression = neutral_expression(track, neutral_frame(track, model))
        start = track.parameters.expanded()[first]
        return cls(expression, p.gaze.median(0).values, start.rotation, start.translation)

    @classmethod
    def of_frames(cls, frames: FaceParameters, names: tuple[str, ...]) -> Reference:
        """Of a performance's first frames (F, ...): the median expression of the calmest, gaze's median, first pose."""
        p = frames.expanded()
        counted = [k for k, name in enumerate(names) if not name.startswith("eyeLook")]
        calmest = p.expression[:, counted].sum(-1).argsort()[:CALM]
        return cls(p.expression[calmest].median(0).values, p.gaze.median(0).values, p.rotation[0], p.translation[0])


@dataclass(frozen=True)
class OnlineMixer:
    """Puts each frame of a performance on the target's face: expression, pose and gaze, all relative as in ``mix``.

    face: the target's identity, reflectance, focal length and light, without leading dimensions.
    """

    source: Reference
    target: Reference
    face: FaceParameters
    names: tuple[str, ...]  # of the expression shapes

    def __call__(self, frame: FaceParameters) -> FaceParameters:
        """Parameters of a frame of the target, of those of a frame of the source; neither has leading dimensions."""
        expression = relative_expression(
            frame.expression[None], self.source.expression, self.target.expression, self.names
        )
        rotation, translation = relative_pose(
            (frame.rotation[None], frame.translation[None]),
            (self.source.rotation, self.source.translation),
            (self.target.rotation, self.target.translation),
        )
        gaze = frame.gaze + self.target.gaze - self.source.gaze
        return self.face.replace(
            expression=couple_lids(expression[0], gaze, self.names),
            rotation=rotation[0],
            translation=translation[0],
            gaze=gaze,
        )


def steady_face(track: Track) -> FaceParameters:
    """A target's identity, reflectance and focal length under the clip's median light; otherwise its first face."""
    p = track.parameters.expanded()[track.tracked]
    return p[0].replace(illumination=p.illumination.median(0).values)
