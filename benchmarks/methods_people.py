"""Who is tested on in ``benchmarks.methods``: people that no method has seen, doing what none has seen, with the truth.

All of them do the same performances, so that there is a true picture for any target and any driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neural_render.corpus import Faces
from neural_render.methods.clip import Clip

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
