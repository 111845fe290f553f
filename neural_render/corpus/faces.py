"""A table of face crops: a row a picture, with who it shows doing what; the pixels stay in a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

UNKNOWN = -1


@dataclass(frozen=True)
class Faces:
    """N crops of ``size`` x ``size`` px, those of a clip one after the other in the order of its frames."""

    path: Path  # the pixels: N of (size, size, 3) uint8
    size: int
    people: tuple[str, ...]
    person: np.ndarray  # (N,) index into people
    clip: np.ndarray  # (N,) number of the clip
    performance: np.ndarray  # (N,) one number is one performance, whoever does it; -1 where that isn't known
    frame: np.ndarray  # (N,) index in the clip
    weights: np.ndarray  # (C,) of each clip: how often it is drawn
    landmarks: np.ndarray  # (N, L, 2) float32 in the crop: -1 to 1, from edge to edge
    scheme: str  # of the landmarks
    units: np.ndarray | None = None  # (N, K) float32 action units, 0 to 5
    unit_names: tuple[str, ...] = ()
    excluded: int = 0  # frames without a face in their clip's square, or without units where those are asked for

    def __len__(self) -> int:
        return len(self.person)

    def pictures(self, rows: np.ndarray) -> Tensor:
        """(..., 3, size, size) float32 in [-1, 1], of rows of any shape."""
        # Mapped for one read, so that what stays in memory doesn't grow with the corpus.
        pixels = np.memmap(self.path, np.uint8, "r", shape=(len(self), self.size, self.size, 3))[rows]
        return torch.from_numpy(pixels).movedim(-1, -3).float() / 127.5 - 1

    @cached_property
    def _groups(self) -> list[tuple[np.ndarray, float]]:
        """Rows that show one person, and how often they are drawn: a clip; or all photographs of somebody."""
        frames = np.bincount(self.clip)[self.clip]
        key = np.where(frames > 1, self.clip, -1 - self.person)
        order = np.argsort(key, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
        return [(part, float(self.weights[np.unique(self.clip[part])].sum())) for part in parts]

    def pairs(self, step: int, batch: int, seed: int, count: int = 2) -> np.ndarray:
        """(batch, count) rows, those of a line of one clip (or photographs of one person) and different.

        A function of seed and step. A clip of fewer frames than ``count`` gives some twice; those of one are left out,
        unless count is 1.
        """
        groups = [g for g in self._groups if len(g[0]) >= min(count, 2)]
        share = np.array([weight for _, weight in groups])
        draw = np.random.default_rng([seed, step])
        chosen = draw.choice(len(groups), batch, p=share / share.sum())
        return np.stack([draw.choice(groups[k][0], count, replace=len(groups[k][0]) < count) for k in chosen])

    def successive(self, step: int, batch: int, seed: int, count: int) -> np.ndarray:
        """(batch, count) rows that follow each other in a clip; as `pairs`, of clips that are long enough."""
        groups = [g for g in self._groups if len(g[0]) >= count and self.clip[g[0][0]] == self.clip[g[0][-1]]]
        share = np.array([weight for _, weight in groups])
        draw = np.random.default_rng([seed, step])
        chosen = draw.choice(len(groups), batch, p=share / share.sum())
        firsts = [draw.integers(len(groups[k][0]) - count + 1) for k in chosen]
        return np.stack([groups[k][0][first : first + count] for k, first in zip(chosen, firsts)])

    @cached_property
    def _places(self) -> dict[tuple[int, int, int], int]:
        known = np.flatnonzero(self.performance != UNKNOWN)
        keys = zip(self.person[known].tolist(), self.performance[known].tolist(), self.frame[known].tolist())
        return dict(zip(keys, known.tolist()))

    def counterpart(self, rows: np.ndarray, people: np.ndarray) -> np.ndarray:
        """The rows of other people in the same performance and frame; -1 where there is none. Shapes are broadcast."""
        rows, people = np.broadcast_arrays(rows, people)
        found = [
            self._places.get((int(p), int(self.performance[r]), int(self.frame[r])), UNKNOWN)
            for r, p in zip(rows.ravel(), people.ravel())
        ]
        return np.array(found, np.int64).reshape(rows.shape)
