"""The texture chart: a cylinder around the head, mirror-symmetric about u = 0.5, its middle stretched for the face."""

from __future__ import annotations

import numpy as np

from .topology import Topology

SEAM = np.pi * 0.999


def build_uv(topology: Topology, vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uv (U, 2) in [0, 1], v up, and uv_triangles (T, 3) into it."""
    x, y, z = vertices.T
    axis = -5.0
    angle = np.arctan2(x, z - axis)
    u = 0.5 + 0.5 * np.sign(angle) * warp(np.abs(angle) / np.pi)
    v = 0.02 + 0.96 * (y - y.min()) / (y.max() - y.min())
    uv = np.stack([u, v], 1)
    corners = uv[triangles]
    spread = corners[..., 0].max(1) - corners[..., 0].min(1)
    crossing = spread > 0.5
    extra, index = [], triangles.copy()
    table: dict[tuple[int, int], int] = {}
    for t in np.nonzero(crossing)[0]:
        for k in range(3):
            i = triangles[t, k]
            if u[i] < 0.5:
                key = (int(i), 1)
                if key not in table:
                    table[key] = len(uv) + len(extra)
                    extra.append([1.0, v[i]])
                index[t, k] = table[key]
    return np.concatenate([uv, np.array(extra).reshape(-1, 2)]), index


def warp(t: np.ndarray) -> np.ndarray:
    """[0, 1] to [0, 1], steep in the front half."""
    return t ** 0.8
