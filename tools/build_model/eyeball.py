"""Eyeballs: spheres whose pole looks forward, with rings of vertices at the pupil's and the iris' edge."""

from __future__ import annotations

import numpy as np

IRIS_RADIUS = 5.6  # mm
PUPIL_RADIUS = 2.2
SEGMENTS = 24
EDGE = 0.35  # mm from ring to ring across the pupil's and the iris' edge


def ring_angles(radius: float) -> np.ndarray:
    """Polar angles (K,) of the rings between the poles, radians, growing from the front."""
    edges = [PUPIL_RADIUS - EDGE / 2, PUPIL_RADIUS + EDGE / 2, 3.3, 4.5, IRIS_RADIUS - EDGE, IRIS_RADIUS + EDGE / 2]
    front = np.arcsin(np.array([1.1, *edges]) / radius)
    back = np.radians([36, 44, 52, 61, 71, 82, 95, 115, 140])
    return np.concatenate([front, back])


def unit_eyeball(radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions (N, 3) of the vertices, triangles (T, 3), polar angles (N,).

    Mirror-symmetric about x = 0. Vertex 0 is the front pole, the last one the back pole; rings lie between.
    """
    angles = ring_angles(radius)
    around = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS + np.pi / 2  # from the top
    rings = [
        np.stack([np.sin(a) * np.cos(around), np.sin(a) * np.sin(around), np.full(SEGMENTS, np.cos(a))], 1)
        for a in angles
    ]
    directions = np.concatenate([[[0, 0, 1.0]], *rings, [[0, 0, -1.0]]])
    polar = np.concatenate([[0.0], np.repeat(angles, SEGMENTS), [np.pi]])
    return directions, _triangles(len(angles)), polar


def _triangles(rings: int) -> np.ndarray:
    k = np.arange(SEGMENTS)
    following = (k + 1) % SEGMENTS
    first = 1 + k
    triangles = [np.stack([np.zeros_like(k), first, 1 + following], 1)]
    for ring in range(rings - 1):
        a, b = 1 + ring * SEGMENTS + k, 1 + ring * SEGMENTS + following
        c, d = a + SEGMENTS, b + SEGMENTS
        left = k < SEGMENTS // 2  # the diagonals of the two halves mirror each other
        triangles.append(np.where(left[:, None], np.stack([a, c, d], 1), np.stack([a, c, b], 1)))
        triangles.append(np.where(left[:, None], np.stack([a, d, b], 1), np.stack([b, c, d], 1)))
    last, back = 1 + (rings - 1) * SEGMENTS, 1 + rings * SEGMENTS
    triangles.append(np.stack([last + k, np.full_like(k, back), last + following], 1))
    return np.concatenate(triangles)


def mirrored(directions: np.ndarray) -> np.ndarray:
    """(N,) the vertex at the place mirrored about x = 0."""
    distance = np.abs(directions[:, None] * [-1, 1, 1] - directions[None]).sum(-1)
    partner = distance.argmin(1)
    assert distance[np.arange(len(partner)), partner].max() < 1e-9, "the eyeball isn't mirror-symmetric"
    return partner
