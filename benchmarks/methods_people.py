"""Who is tested on in ``benchmarks.methods``: people that no method has seen, doing what none has seen, with the truth.

All of them do the same performances, so that there is a true picture for any target and any driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from facemodel import FaceParameters, FrameStatus
from facemodel.parameters import SHARED
from neural_render.corpus import Faces
from neural_render.methods.clip import Clip, Frame

SEEN = (3, 11)  # frames of a driver that are measured
KINDS = ("same", "across")


@dataclass(frozen=True)
class Pair:
    """A target that is to do what a driver does."""

    target: Clip
    driver: Clip
    still: int  # row of the target's first picture
    driven: np.ndarray  # rows of the driver's measured frames
    truth: np.ndarray  # rows of the same frames, done by the target


@dataclass(frozen=True)
class Unseen:
    """People whom nobody learns from."""

    faces: Faces  # all of their frames, with action units
    clips: Sequence[Clip]  # in the order of ``faces.clip``

    def pairs(self, kind: str) -> list[Pair]:
        """A pair a person: driven by another performance of their own ("same"), or of the next person ("across")."""
        faces, out = self.faces, []
        where = {(int(p), int(d)): int(c) for p, d, c in zip(faces.person, faces.performance, faces.clip)}
        people = range(len(faces.people))
        done = sorted(set.intersection(*({d for p, d in where if p == who} for who in people)))
        for who in people:
            driver = who if kind == "same" else (who + 1) % len(people)
            still, moving = done[who % len(done)], done[(who + len(done) // 2) % len(done)]
            rows = np.flatnonzero((faces.clip == where[driver, moving]) & np.isin(faces.frame, SEEN))
            out.append(
                Pair(
                    target=self.clips[where[who, still]],
                    driver=self.clips[where[driver, moving]],
                    still=int(np.flatnonzero(faces.clip == where[who, still])[0]),
                    driven=rows,
                    truth=faces.counterpart(rows, who),
                )
            )
        return out


@dataclass(frozen=True)
class _Frames:
    """Those of several clips, one after the other."""

    clips: Sequence[Clip]

    def __iter__(self) -> Iterator[Frame]:
        first, begun = 0, 0.0
        for clip in self.clips:
            count = len(clip.track)
            for index, seconds, rgb in clip.frames:
                yield first + index, begun + seconds, rgb
            first, begun = first + count, begun + count / clip.fps

    @property
    def frame_count(self) -> int:
        return sum(len(clip.track) for clip in self.clips)


def joined(clips: Sequence[Clip]) -> Clip:
    """A person's clips of one camera as one, a shot each: for methods that learn somebody from one clip."""
    tracks = [clip.track for clip in clips]
    parts, ends = [track.parameters.expanded() for track in tracks], np.cumsum([len(track) for track in tracks])
    each = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(FaceParameters)}
    shared = {name: getattr(tracks[0].parameters, name) for name in SHARED}
    begun = np.cumsum([0.0, *(len(track) / track.fps for track in tracks)])
    status = torch.cat([track.status for track in tracks])
    status[ends[:-1]] |= int(FrameStatus.CUT)
    track = replace(
        tracks[0], parameters=FaceParameters(**{**each, **shared}), status=status,
        times=torch.cat([track.seconds + start for track, start in zip(tracks, begun)]),
        confidence=torch.cat([track.confidence for track in tracks]),
        landmarks=torch.cat([track.landmarks for track in tracks]),
        facts={"source": {"files": [clip.source.get("file") for clip in clips]}},
    )  # fmt: skip
    return Clip.of_track(track, _Frames(clips), clips[0].model, person=clips[0].person)
