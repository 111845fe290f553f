"""Which face of a clip is the one: the largest at first, then the same one; and where the cuts are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facemodel.track import FrameStatus
from fitting.landmarks.base import UPSIDE_DOWN, Face, LandmarkDetector

LOOK_AROUND = 10  # frames between two looks at the whole picture
CUT_CORRELATION = 0.5  # of thumbnails of neighbouring frames; a flash changes brightness, not correlation
CUT_DIFFERENCE = 0.25  # of the same, mean absolute over mean brightness


@dataclass
class FollowerState:
    """Everything the follower remembers."""

    centre: tuple[float, float] | None = None
    size: float = 0.0
    velocity: tuple[float, float] = (0.0, 0.0)
    several: bool = False
    upside_down: bool = False  # as the last look at the whole picture found it
    since_look: int = 0
    thumbnail: np.ndarray | None = None  # (32, 48, 3) uint8

    def as_json(self) -> dict:
        """Plain data, for a checkpoint."""
        return {**vars(self), "thumbnail": None if self.thumbnail is None else self.thumbnail.tolist()}

    @classmethod
    def from_json(cls, table: dict) -> FollowerState:
        known = table["thumbnail"]
        return cls(**{**table, "thumbnail": None if known is None else np.array(known, np.uint8)})


class FaceFollower:
    """Follows one face through the frames of a clip, in order; or through pictures that aren't ``ordered``: no cuts."""

    def __init__(self, detector: LandmarkDetector, state: FollowerState | None = None, ordered: bool = True) -> None:
        self.detector, self.ordered = detector, ordered
        self.state = state or FollowerState()

    def __call__(self, picture: np.ndarray) -> tuple[Face | None, FrameStatus]:
        """The followed face of the next frame, (H, W, 3) uint8 RGB, and the frame's status."""
        s = self.state
        cut = self.ordered and self.is_cut(picture)
        if cut:
            s.centre, s.velocity, s.several, s.upside_down = None, (0.0, 0.0), False, False
        face = None
        if s.centre is not None:
            face = self.detector.refine(picture, np.array(s.centre) + np.array(s.velocity), s.size)
        s.since_look += 1
        if face is None or s.since_look >= LOOK_AROUND:
            faces = self.detector.detect(picture)
            s.since_look, s.several = 0, len(faces) > 1
            if faces:
                same = self._same(faces)
                if face is None or np.linalg.norm(same.centre - face.centre) < 0.5 * face.size:
                    s.upside_down = same.confidence == UPSIDE_DOWN
                face = face or same
        status = FrameStatus.TRACKED if face is not None else FrameStatus.NO_FACE
        if cut:
            status |= FrameStatus.CUT
        if s.several and face is not None:
            status |= FrameStatus.SEVERAL_FACES
        if face is None:
            s.velocity = (0.0, 0.0)
            return None, status
        moved = face.centre - s.centre if s.centre is not None else np.zeros(2)
        s.velocity = tuple(np.clip(0.5 * moved, -0.3 * face.size, 0.3 * face.size))
        s.centre, s.size = tuple(face.centre), face.size
        return (replace(face, confidence=UPSIDE_DOWN) if s.upside_down else face), status

    def _same(self, faces: list[Face]) -> Face:
        """After a short loss the face nearest to where it was; in a new shot the largest."""
        s = self.state
        if s.centre is None:
            return faces[0]
        near = min(faces, key=lambda f: np.linalg.norm(f.centre - np.array(s.centre)))
        return near if np.linalg.norm(near.centre - np.array(s.centre)) < 1.5 * max(s.size, near.size) else faces[0]

    def is_cut(self, picture: np.ndarray) -> bool:
        """Whether a new shot starts with this picture; to be asked once a frame, in order."""
        import cv2

        s = self.state
        stride = max(1, picture.shape[0] // 128)  # averaging a whole large frame would take as long as decoding it
        small = cv2.resize(np.ascontiguousarray(picture[::stride, ::stride]), (48, 32), interpolation=cv2.INTER_AREA)
        before, s.thumbnail = s.thumbnail, small
        if before is None:
            return False
        a, b = small.astype(np.float32), before.astype(np.float32)
        difference = np.abs(a - b).mean() / ((a.mean() + b.mean()) / 2 + 8)
        a, b = a - a.mean((0, 1)), b - b.mean((0, 1))
        correlation = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1)
        return bool(correlation < CUT_CORRELATION and difference > CUT_DIFFERENCE)
