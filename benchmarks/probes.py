"""What a linear map can read from codes: an expression, a pose, a person; and how much a code stays where it should."""

from __future__ import annotations

import numpy as np

RIDGES = 10.0 ** np.arange(-4, 3)  # of which a probe takes the one that serves groups left out best
COMPONENTS = 64  # a code is brought to at most so many numbers, those of greatest variance


class Scale:
    """Codes (N, D) to (N, K): each number in its standard deviations, then the K <= 64 components that vary most.

    even: each component in its standard deviations, too; else they stay in proportion, and a ridge holds the weak ones.
    """

    def __init__(self, codes: np.ndarray, even: bool = True) -> None:
        self.mean, self.std = codes.mean(0), codes.std(0)
        self.std = np.where(self.std > 1e-6 * max(self.std.max(), 1e-12), self.std, np.inf)
        _, values, axes = np.linalg.svd((codes - self.mean) / self.std, full_matrices=False)
        kept = values[:COMPONENTS] > 1e-6 * max(values[0], 1e-12)
        over = values[:COMPONENTS][kept] if even else values[0]
        self.axes = axes[:COMPONENTS][kept].T / over * len(codes) ** 0.5

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        return (codes - self.mean) / self.std @ self.axes


def ridge(x: np.ndarray, y: np.ndarray, weight: float) -> np.ndarray:
    """(K + 1, T), the constant last: least squares of y (N, T) by x (N, K), of mean square plus weight * the map's."""
    mean, middle = x.mean(0), y.mean(0)
    z = x - mean
    slope = np.linalg.solve(z.T @ z / len(z) + weight * np.eye(x.shape[1]), z.T @ (y - middle) / len(z))
    return np.concatenate([slope, (middle - mean @ slope)[None]])


def applied(linear: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x @ linear[:-1] + linear[-1]


def left_out(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(RIDGES, T): squared errors of y (N, T) on groups that were left out, a fifth of them at a time."""
    errors = np.zeros((len(RIDGES), y.shape[1]))
    for part in np.array_split(np.unique(groups), 5):
        out = np.isin(groups, part)
        if out.any():
            for k, weight in enumerate(RIDGES):
                errors[k] += np.square(applied(ridge(x[~out], y[~out], weight), x[out]) - y[out]).sum(0)
    return errors


def read(codes: np.ndarray, wanted: np.ndarray, groups: np.ndarray, tested: np.ndarray, names: bool) -> np.ndarray:
    """(M, T): what a probe reads of the tested rows, fitted on the others.

    codes (N, D), wanted (N, T), groups (N,) and tested (N,) bool. Scale and weight are chosen on the rows that the map
    is fitted to, the weight by leaving out groups of them. names: whether the wanted numbers are one of T names, which
    are compared, so that they share a weight, and a weak component may tell them; else each number is by itself.
    """
    scale = Scale(codes[~tested], even=names)
    x, y, shown = scale(codes[~tested]), wanted[~tested], scale(codes[tested])
    errors = left_out(x, y, groups[~tested])
    best = np.full(y.shape[1], errors.sum(1).argmin()) if names else errors.argmin(0)
    found = np.empty((len(shown), y.shape[1]))
    for k in np.unique(best):
        found[:, best == k] = applied(ridge(x, y[:, best == k], RIDGES[k]), shown)
    return found


def explained(codes: np.ndarray, wanted: np.ndarray, people: np.ndarray) -> float:
    """R2 of a linear probe on people whom it never saw: 1 less its squared error over that of the mean, all summed.

    Fitted on one half of the people and tested on the other, both ways.
    """
    halves = people % 2 == 1
    error = total = 0.0
    for tested in (halves, ~halves):
        found = read(codes, wanted, people, tested, names=False)
        error += np.square(found - wanted[tested]).sum()
        total += np.square(wanted[tested] - wanted[~tested].mean(0)).sum()
    return float(1 - error / total)


def recognized(codes: np.ndarray, people: np.ndarray, performances: np.ndarray) -> float:
    """Share of the rows whose person a linear probe names, in performances that it never saw; both halves in turn."""
    names, index = np.unique(people, return_inverse=True)
    one_hot, halves = np.eye(len(names))[index], performances % 2 == 1
    right = [
        read(codes, one_hot, performances, tested, names=True).argmax(1) == index[tested]
        for tested in (halves, ~halves)
    ]
    return float(np.concatenate(right).mean())


def stability(codes: np.ndarray, changed: np.ndarray) -> float:
    """1 where rows stay as they are when something changes that isn't theirs to say, 0 where they become any other's.

    codes (N, D) and the same after the change: 1 less the mean squared distance between the two, over that between a
    row and another's changed one.
    """
    scale = Scale(codes)
    a, b = ((c - scale.mean) / scale.std for c in (codes, changed))
    own = np.square(a - b).sum(1).mean()
    others = np.mean([np.square(a - np.roll(b, k, 0)).sum(1).mean() for k in range(1, len(b))])
    return float(1 - own / others)
