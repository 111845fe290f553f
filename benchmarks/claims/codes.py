"""How much codes of faces say of what is done, and of who does it: retrieval, and a linear probe."""

from __future__ import annotations

import numpy as np

GALLERY = 40
TRIALS = 2000
RIDGE = 1e-2  # of the mean variance


def retrieval(codes: np.ndarray, person: np.ndarray, moment: np.ndarray, seed: int = 0) -> float:
    """How often a moment is found, by its code, among `GALLERY` moments of somebody else: the share of top ones.

    By cosine of codes without their mean. Each trial draws a code, another person who was in the same moment, and that
    person's other moments.

    codes: (N, M); person, moment: (N,) numbers, one row for a person in a moment.
    """
    draw = np.random.default_rng(seed)
    unit = codes - codes.mean(0)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    rows = {(p, m): k for k, (p, m) in enumerate(zip(person.tolist(), moment.tolist()))}
    whose = {p: np.flatnonzero(person == p) for p in np.unique(person).tolist()}
    people, right, asked = list(whose), 0, 0
    for query in draw.integers(len(codes), size=TRIALS):
        other = people[draw.integers(len(people))]
        answer = rows.get((other, int(moment[query])))
        if other == person[query] or answer is None or len(whose[other]) < GALLERY:
            continue
        rest = whose[other][whose[other] != answer]
        gallery = np.concatenate([[answer], draw.choice(rest, GALLERY - 1, replace=False)])
        right += int((unit[gallery] @ unit[query]).argmax() == 0)
        asked += 1
    return right / asked if asked else float("nan")


def probe(codes: np.ndarray, labels: np.ndarray, trained: np.ndarray) -> float:
    """Accuracy of a linear guess of labels (N,) from codes (N, M): least squares of one-hot labels, with a small ridge.

    trained: (N,) bool, what it is fitted to; it is judged on the rest.
    """
    kinds, target = np.unique(labels, return_inverse=True)
    scaled = (codes - codes[trained].mean(0)) / codes[trained].std(0).clip(1e-6)
    x = np.concatenate([scaled, np.ones((len(codes), 1))], 1)
    a = x[trained]
    weights = np.linalg.solve(a.T @ a + RIDGE * len(a) * np.eye(x.shape[1]), a.T @ np.eye(len(kinds))[target[trained]])
    return float(((x[~trained] @ weights).argmax(1) == target[~trained]).mean())
