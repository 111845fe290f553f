"""Principal components of samples on a mirror-symmetric mesh: each component is symmetric or antisymmetric."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import eigsh


def principal_components(
    samples: np.ndarray,  # (N, V, 3) differences from a symmetric mean
    mirror: np.ndarray,  # (V,)
    flip: np.ndarray,  # (3,) signs of the channels in a mirror
    weight: np.ndarray,  # (V,) how much a vertex counts; where it's zero the shapes follow by regression
    count: int,
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Combinations of the samples that make the components, and the share of the variance they keep.

    Every sample's mirror image counts as a sample too; that splits the problem in a symmetric and an odd half.
    Returns (N, count) for either half: component k = combination[half][:, k] @ samples[half], where one of the two is
    zero. Components have unit variance, are sorted by the variance they explain, and their signs are fixed.
    """
    half = np.nonzero(mirror >= np.arange(len(mirror)))[0]
    twice = np.where(mirror[half] == half, 1.0, 2.0) * weight[half]
    used = half[twice > 0]
    metric = np.sqrt(twice[twice > 0])[:, None]
    found, total = [], 0.0
    for part, sign in enumerate((1, -1)):
        data = (samples[:, used] + sign * samples[:, mirror[used]] * flip) * (metric / 2)
        data = data.reshape(len(samples), -1)
        gram = data @ data.T / len(samples)
        total += np.trace(gram)
        values, vectors = eigsh(gram, count, v0=np.ones(len(samples)))
        found += [(value, part, vectors[:, k]) for k, value in enumerate(values)]
    found.sort(key=lambda item: -item[0])
    combinations = (np.zeros((len(samples), count)), np.zeros((len(samples), count)))
    for k, (_, part, vector) in enumerate(found[:count]):
        sign = np.sign(vector[np.abs(vector).argmax()])
        combinations[part][:, k] = sign * vector / np.sqrt(len(samples))
    return combinations, float(sum(value for value, _, _ in found[:count]) / total)


def combine(combinations: tuple[np.ndarray, np.ndarray], samples: np.ndarray, mirror: np.ndarray, flip: np.ndarray):
    """The components (count, V, 3) that ``principal_components`` found."""
    parts = []
    for sign, weights in zip((1, -1), combinations):
        shapes = weighted_sum(weights.T, samples)
        parts.append((shapes + sign * shapes[:, mirror] * flip) / 2)
    return parts[0] + parts[1]


def weighted_sum(weights: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """(M, V, 3) of weights (M, N) and shapes (N, V, 3)."""
    return (weights @ shapes.reshape(len(shapes), -1)).reshape(len(weights), *shapes.shape[1:])
