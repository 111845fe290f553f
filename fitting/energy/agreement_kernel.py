"""Compiled CPU kernel of a face's agreement with a picture; the reference in NumPy is in `fitting.energy.agreement`.

Imported only where it's used, since Numba takes a while to import. It repeats the reference in double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foundation.compiled import jit

# Loops and branches are what this function is about.
# ruff: noqa: PLR0912, PLR0915


class Limits(NamedTuple):
    """Of `fitting.policy.agreement.AgreementPolicy`."""

    grey: float
    floor: float
    noise: float
    signal: float
    explained: float
    outlying: float
    rounds: int
    tiny: float


@jit
def solve(matrix, right):
    """Overwrites a positive definite system's right side (K,) with its solution, and the matrix (K, K)."""
    size = len(right)
    for k in range(size):
        for i in range(k + 1, size):
            factor = matrix[i, k] / matrix[k, k]
            for j in range(k + 1, size):
                matrix[i, j] -= factor * matrix[k, j]
            right[i] -= factor * right[k]
    for k in range(size - 1, -1, -1):
        for j in range(k + 1, size):
            right[k] -= matrix[k, j] * right[j]
        right[k] /= matrix[k, k]


@jit
def figures(weight, shown_rgb, normal, observed_rgb, luma, limits):
    """Typical difference of the colours, and the correlation; see `fitting.energy.agreement.figures`."""
    count, channels = len(weight), 3
    total = strength = colourful = 0.0
    for n in range(count):
        total += weight[n]
        bright = 0.0
        for c in range(3):
            bright += observed_rgb[n, c] * luma[c]
        for c in range(3):
            colourful += weight[n] * (observed_rgb[n, c] - bright) ** 2
    if np.sqrt(colourful / 3 / max(total, 1e-6)) < limits.grey:
        channels = 1
    shown, observed = np.zeros((count, channels)), np.zeros((count, channels))
    brightness = 0.0
    for n in range(count):
        for c in range(3):
            if channels == 3:
                shown[n, c], observed[n, c] = shown_rgb[n, c], observed_rgb[n, c]
            else:
                shown[n, 0] += shown_rgb[n, c] * luma[c]
                observed[n, 0] += observed_rgb[n, c] * luma[c]
        for c in range(channels):
            brightness += weight[n] * observed[n, c]
            strength += shown[n, c] ** 2
    brightness = brightness / max(total, 1e-6) / channels + limits.floor
    ridge = 1e-3 * (total * strength / (count * channels) + limits.floor**2)

    trust, drawn, error = weight.copy(), shown.copy(), np.empty(count)
    matrix, right, column = np.empty((5, 5)), np.empty(5), np.empty(5)
    for _ in range(limits.rounds):
        for c in range(channels):
            matrix[:], right[:] = 0.0, 0.0
            for n in range(count):
                column[0], column[4] = shown[n, c], 1.0
                for k in range(3):
                    column[k + 1] = shown[n, c] * normal[n, k]
                for i in range(5):
                    by = trust[n] * column[i]
                    right[i] += by * observed[n, c]
                    for j in range(5):
                        matrix[i, j] += by * column[j]
            for i in range(5):
                matrix[i, i] += ridge
            solve(matrix, right)
            for n in range(count):
                factor = right[0] + right[1] * normal[n, 0] + right[2] * normal[n, 1] + right[3] * normal[n, 2]
                drawn[n, c] = shown[n, c] * factor + right[4]
        for n in range(count):
            squared = 0.0
            for c in range(channels):
                squared += (drawn[n, c] - observed[n, c]) ** 2
            error[n] = np.sqrt(squared / channels)
            trust[n] = weight[n] / (1 + error[n] / (limits.outlying * brightness)) ** 1.5

    order, running, typical = error.argsort(), 0.0, 0.0
    whole = 0.0
    for k in order:
        whole += weight[k]
    for k in order:
        running += weight[k]
        typical = error[k]
        if running >= limits.explained * whole:
            break

    trusted = mean_a = mean_b = aa = ab = bb = 0.0
    for n in range(count):
        trusted += trust[n]
        mean_a += trust[n] * observed[n].mean()
        mean_b += trust[n] * drawn[n].mean()
    trusted = max(trusted, 1e-6)
    mean_a, mean_b = mean_a / trusted, mean_b / trusted
    for n in range(count):
        a, b = observed[n].mean() - mean_a, drawn[n].mean() - mean_b
        aa += trust[n] * a * a
        ab += trust[n] * a * b
        bb += trust[n] * b * b
    aa, ab, bb = aa / trusted, ab / trusted, bb / trusted
    variance = max(aa - limits.noise**2, limits.signal * aa)
    return typical, ab / np.sqrt(variance * bb + limits.tiny**4)
