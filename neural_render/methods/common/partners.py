"""Rows of a corpus that go together: somebody else doing the same, and other pictures of the same person."""

from __future__ import annotations

import numpy as np

from neural_render.corpus import Faces

TRIES = 16  # people who are asked whether they did the same


def partners(faces: Faces, rows: np.ndarray, step: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row (N,) one of another person, and whether that one shows the same frame of the same performance.

    Where a few people who are drawn by chance didn't do it, or nobody knows, it is any picture. A function of seed and
    step. A corpus of one person gives that person.
    """
    draw = np.random.default_rng([seed, step, 1])
    people = draw.integers(len(faces.people), size=(len(rows), TRIES))
    found = faces.counterpart(rows[:, None], people)
    found[people == faces.person[rows][:, None]] = -1
    same = (found >= 0).any(1)
    chosen = np.take_along_axis(found, (found >= 0).argmax(1)[:, None], 1)[:, 0]
    return np.where(same, chosen, draw.integers(len(faces), size=len(rows))), same


def of_same_person(faces: Faces, rows: np.ndarray, step: int, seed: int) -> np.ndarray:
    """For each row (N,) any picture of the same person, of whatever clip; a function of seed and step."""
    draw = np.random.default_rng([seed, step, 2])
    order = np.argsort(faces.person, kind="stable")
    first, end = (np.searchsorted(faces.person[order], faces.person[rows], side) for side in ("left", "right"))
    return order[draw.integers(first, end)]
