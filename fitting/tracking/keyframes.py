"""Which frames of a clip identity is solved over: the ones that show the head from most sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fitting.landmarks.base import Face, LandmarkDetector
from fitting.observation.crop import Crop, cut_out
from fitting.tracking.follow import FaceFollower
from foundation.progress import Event, Report, ignore


@dataclass
class Candidate:
    index: int
    shot: int
    face: Face
    crop: Crop


@dataclass
class Survey:
    """What one quick run over a clip tells."""

    candidates: list[Candidate] = field(default_factory=list)
    frames: int = 0
    looked_at: int = 0


def survey(
    frames: Iterable,
    detector: LandmarkDetector,
    size: int,
    count: int | None = None,
    ordered: bool = True,
    looked_at: int = 48,
    report: Report = ignore,
) -> Survey:
    """Decodes the clip once and looks for the largest face in frames evenly spread, however long it is.

    ``size`` px is the side of the squares that are kept; at most twice ``looked_at`` frames are looked at.
    ``count`` is the number of frames where it's known. Where it isn't, or is wrong, the stride doubles whenever
    enough frames were looked at, so that memory is bounded and every part of the clip counts alike. Pictures that
    aren't ``ordered`` are one shot.
    """
    found, stride, shot = Survey(), max(1, (count or 0) // looked_at), 0
    cuts = FaceFollower(detector)
    for index, _, picture in frames:
        found.frames = index + 1
        shot += ordered and cuts.is_cut(picture)
        if index % stride == 0:
            found.looked_at += 1
            face = next(iter(detector.detect(picture)), None)
            if face is not None:
                found.candidates.append(Candidate(index, shot, face, cut_out(picture, face, size)))
            if index // stride >= 2 * looked_at:
                stride *= 2
                found.candidates = [c for c in found.candidates if c.index % stride == 0]
        report(Event("looking for key frames", index + 1, count))
    return found


def choose(candidates: list[Candidate], features: np.ndarray, count: int) -> list[Candidate]:
    """At most ``count`` candidates of the shot that shows the face most, far from each other in ``features``.

    One clip has one identity: where several people appear, it's the one of that shot.

    Args:
        features: (C, K), scaled so that 1 is a difference worth a key frame: yaw, pitch, openings of mouth and eyes.
    """
    shots = np.array([c.shot for c in candidates])
    sizes = np.array([c.face.size for c in candidates])
    shot = max(np.unique(shots), key=lambda s: np.sqrt(sizes[shots == s]).sum())
    pool = np.flatnonzero(shots == shot)
    middle = np.median(features[pool], axis=0)
    chosen = [pool[np.abs(features[pool] - middle).sum(1).argmin()]]
    while len(chosen) < min(count, len(pool)):
        distance = np.linalg.norm(features[pool, None] - features[None, chosen], axis=-1).min(1)
        chosen.append(pool[distance.argmax()])
    return [candidates[k] for k in sorted(chosen)]
