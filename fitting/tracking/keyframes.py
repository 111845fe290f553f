"""Which frames of a clip identity is solved over: the ones that show the head from most sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fitting.landmarks.base import LandmarkDetector, search
from fitting.observation.crop import cut_out
from fitting.tracking.follow import FaceFollower
from fitting.tracking.people import Candidate, chip_of
from foundation.progress import Event, Report, ignore


@dataclass(frozen=True)
class SurveyPolicy:
    """Which faces are looked at, and how hard they're looked for."""

    faces: int = 4  # of a frame, at most
    searches: int = 4  # of a clip's frames: each may take seconds, while no face was found
    lesser: float = 0.3  # of the size of the largest face: smaller ones are bystanders'


@dataclass
class Survey:
    """What one quick run over a clip tells."""

    candidates: list[Candidate] = field(default_factory=list)  # of a frame the largest face first
    frames: int = 0
    looked_at: int = 0
    searched: int = 0  # of those, in how many small faces were searched for
    stride: int = 1  # frames from one that was looked at to the next


def survey(
    frames: Iterable,
    detector: LandmarkDetector,
    size: int,
    count: int | None = None,
    ordered: bool = True,
    looked_at: int = 48,
    report: Report = ignore,
    policy: SurveyPolicy = SurveyPolicy(),
) -> Survey:
    """Decodes the clip once and looks for faces in frames evenly spread, however long it is.

    ``size`` px is the side of the squares that are kept; at most twice ``looked_at`` frames are looked at.
    ``count`` is the number of frames where it's known. Where it isn't, or is wrong, the stride doubles whenever
    enough frames were looked at, so that memory is bounded and every part of the clip counts alike. Pictures that
    aren't ``ordered`` are one shot.
    """
    found, stride, shot, segment = Survey(), max(1, (count or 0) // looked_at), 0, 0
    cuts = FaceFollower(detector)
    frames_looked_at = min(count or 2 * looked_at, looked_at)
    search_at = set(np.linspace(1, max(1, frames_looked_at), policy.searches).astype(int).tolist())
    for index, _, picture in frames:
        found.frames = index + 1
        if ordered:
            cut = cuts.is_cut(picture)
            shot, segment = shot + cut, segment + (cut or cuts.abrupt)
        if index % stride == 0:
            found.looked_at += 1
            faces = detector.detect(picture)[: policy.faces]
            small = found.candidates and found.candidates[-1].face.size < cuts.policy.small * max(picture.shape)
            if not faces and small:
                last = found.candidates[-1].face
                face = detector.refine(picture, last.centre, last.size)
                faces = [] if face is None else [face]
            if not faces and not found.candidates and (not ordered or found.looked_at in search_at):
                faces = search(detector, picture)[: policy.faces]
                found.searched += 1
            for rank, face in enumerate(f for f in faces if f.size > policy.lesser * faces[0].size):
                chip = chip_of(picture, face)
                found.candidates.append(Candidate(index, shot, face, cut_out(picture, face, size), segment, rank, chip))
            if index // stride >= 2 * looked_at:
                stride *= 2
                found.candidates = [c for c in found.candidates if c.index % stride == 0]
        found.stride = stride
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
