"""How much a made face is like the person it should be, to an embedding that no method is trained with.

As in ``benchmarks.methods_measures``: a cosine of dlib's embeddings less the mean embedding of the test people, since
all faces are alike in it.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from benchmarks.claims.rows import spread_rows
from fitting.landmarks.base import Face
from fitting.landmarks.embedding import shared_embedding
from neural_render.corpus import Faces
from neural_render.methods.common.people import to_pixels

SIDE = 256  # px to which crops are enlarged
FRAMES = 6  # of a clip that are looked at
OWN = 12  # true pictures that a person's embedding is the mean of


class Likeness:
    """Cosines between embeddings of made pictures and of a person's true ones; where faces are is taken as true."""

    def __init__(self, faces: Faces) -> None:
        self.faces, self.known = faces, {}

    def of_clip(self, made: np.ndarray, person: int, performance: int) -> float:
        """Mean over some frames of pictures (F, S, S, 3) of a person in a performance that they really did, too."""
        clip = self.faces.clip[(self.faces.person == person) & (self.faces.performance == performance)][0]
        rows, own = spread_rows(self.faces, clip, FRAMES), self.of_person(person)
        found = [self.embed(made[self.faces.frame[row]], row) - self.mean for row in rows]
        return float(np.mean([own @ e / np.linalg.norm(e) for e in found]))

    @cached_property
    def mean(self) -> np.ndarray:
        """(128,) embedding of the people: of one picture each."""
        firsts = [int(np.flatnonzero(self.faces.person == p)[0]) for p in range(len(self.faces.people))]
        return np.mean([self.embed(to_pixels(self.faces.pictures(np.array(row))), row) for row in firsts], 0)

    def of_person(self, person: int) -> np.ndarray:
        """(128,) of length 1, of what tells a person from the others."""
        if person not in self.known:
            rows = np.flatnonzero(self.faces.person == person)
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, OWN).round().astype(int))]
            own = np.mean([self.embed(to_pixels(self.faces.pictures(row)), row) for row in rows], 0) - self.mean
            self.known[person] = own / np.linalg.norm(own)
        return self.known[person]

    def embed(self, picture: np.ndarray, row: int) -> np.ndarray:
        """(128,) of a crop (S, S, 3) with its face where it is in a row's."""
        large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        points = (self.faces.landmarks[row].astype(np.float64) + 1) * SIDE / 2
        return shared_embedding()(large, Face(points, self.faces.scheme, 1.0))
