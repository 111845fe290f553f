"""Compiled steps of `filling.push_pull` on the CPU, for one picture (S, S, C) float32, S even."""

from __future__ import annotations

import numpy as np

from foundation.compiled import jit


@jit
def pull(color, weight, coarse, coarse_weight):
    """Half the size: colours times weight (S, S, C) and weight (S, S) to (S / 2, S / 2, C) and (S / 2, S / 2)."""
    for i in range(coarse.shape[0]):
        for j in range(coarse.shape[1]):
            a, b = 2 * i, 2 * j
            total = weight[a, b] + weight[a, b + 1] + weight[a + 1, b] + weight[a + 1, b + 1]
            coarse_weight[i, j] = min(total, np.float32(1.0))
            scale = coarse_weight[i, j] / max(total, np.float32(1e-8))
            for k in range(coarse.shape[2]):
                four = color[a, b, k] + color[a, b + 1, k] + color[a + 1, b, k] + color[a + 1, b + 1, k]
                coarse[i, j, k] = four * scale


@jit
def push(color, weight, below):
    """Adds what is ``below`` (S / 2, S / 2, C), twice as large and bilinear, to ``color`` where weight isn't one."""
    size, last = color.shape[0], below.shape[0] - 1
    for i in range(size):
        a = i // 2
        b = min(max(a + 2 * (i % 2) - 1, 0), last)
        for j in range(size):
            missing = np.float32(1.0) - weight[i, j]
            if missing <= 0:
                continue
            c = j // 2
            d = min(max(c + 2 * (j % 2) - 1, 0), last)
            for k in range(color.shape[2]):
                near = np.float32(0.75) * below[a, c, k] + np.float32(0.25) * below[a, d, k]
                far = np.float32(0.75) * below[b, c, k] + np.float32(0.25) * below[b, d, k]
                color[i, j, k] += missing * (np.float32(0.75) * near + np.float32(0.25) * far)
