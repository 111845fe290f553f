"""Lips that meet at rest, for the mean head and over all identities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tools.build_model.identity import Identity
from tools.build_model.regions import smooth_step
from tools.build_model.topology import Topology

OVERLAP = 0.35  # mm by which the lips pass each other, seen from the front
COLUMNS = np.linspace(-23.0, 23.0, 47)  # x in mm at which the opening is measured
UPPER_FALLS = -12.2  # mm that the corners of the mouth move with jawOpen: what moves less is the upper lip
STEP = 0.5  # standard deviations, to differentiate the opening
ROOF = -46.0  # mm, y above which the mouth's inside is pressed to half its height
REACH = 9.0  # mm above and below the line between the lips


def close_lips(identity: Identity, topology: Topology, triangles: np.ndarray, jaw_open: np.ndarray, lips: np.ndarray):
    """``jaw_open`` (V, 3) tells the lips apart, ``lips`` (V,) is their soft field."""
    upper, lower = _lip_triangles(topology, triangles, jaw_open, lips)
    mean = identity.mean.copy()
    for _ in range(3):
        gap, line = _opening(mean, upper, lower)
        move = _mover(mean, topology, jaw_open, line)
        mean += move(np.maximum(gap + OVERLAP, 0))
    _lower_roof(mean, topology)
    line = _opening(mean, upper, lower)[1]
    move = _mover(mean, topology, jaw_open, line)
    basis = identity.basis.copy()
    for k, shape in enumerate(identity.basis):
        more, less = (_opening(mean + step * shape, upper, lower)[0] for step in (STEP, -STEP))
        opening = (more - less) / (2 * STEP)
        basis[k] = _as_symmetric(shape + move(opening), shape, topology)
    return replace(identity, mean=_as_symmetric(mean, mean, topology), basis=basis)


def _lower_roof(mean: np.ndarray, topology: Topology) -> None:
    """Presses the mouth's inside down where it comes close to the skin beside the nose, in place."""
    y = mean[topology.parts["mouth_cavity"], 1]
    mean[topology.parts["mouth_cavity"], 1] = np.where(y > ROOF, ROOF + 0.5 * (y - ROOF), y)


def _as_symmetric(shape: np.ndarray, like: np.ndarray, topology: Topology) -> np.ndarray:
    """``shape`` with exactly the symmetry (even or odd) that ``like`` has."""
    flip = np.array([-1.0, 1.0, 1.0])
    even = np.abs(like[topology.mirror] * flip - like).sum() <= np.abs(like[topology.mirror] * flip + like).sum()
    return (shape + (1 if even else -1) * shape[topology.mirror] * flip) / 2


def is_upper(jaw_open: np.ndarray) -> np.ndarray:
    """(V,) bool, of use around the mouth: what the open jaw doesn't take along."""
    return jaw_open[:, 1] > UPPER_FALLS


def _lip_triangles(topology, triangles, jaw_open, lips) -> tuple[np.ndarray, np.ndarray]:
    front = topology.parts["head"] | topology.parts["mouth_cavity_rim"]
    near = front & ((lips > 0.3) | topology.parts["mouth_cavity_rim"])
    chosen = triangles[near[triangles].all(1)]
    upper = is_upper(jaw_open)[chosen].sum(1) >= 2
    return chosen[upper], chosen[~upper]


def _opening(vertices, upper, lower) -> tuple[np.ndarray, np.ndarray]:
    """Height of the opening between the lips, seen from the front, at each of COLUMNS, and the middle's y."""
    top, bottom = _edge(vertices, upper, np.minimum), _edge(vertices, lower, np.maximum)
    kernel = np.exp(-((np.arange(-2, 3) / 1.0) ** 2) / 2)
    smooth = lambda f: np.convolve(np.pad(f, 2, "edge"), kernel / kernel.sum(), "valid")  # noqa: E731
    return smooth(top - bottom), smooth((top + bottom) / 2)


def _edge(vertices, triangles, better) -> np.ndarray:
    """The lowest (np.minimum) or highest y of the triangles' edges at each of COLUMNS."""
    found = np.full(len(COLUMNS), np.nan)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        p, q = vertices[triangles[:, a]], vertices[triangles[:, b]]
        t = (COLUMNS[None] - p[:, :1]) / np.where(np.abs(q[:, :1] - p[:, :1]) < 1e-9, np.nan, q[:, :1] - p[:, :1])
        y = p[:, 1:2] + t * (q[:, 1:2] - p[:, 1:2])
        y[~((t >= 0) & (t <= 1))] = np.nan
        pick = np.fmin if better is np.minimum else np.fmax
        found = pick(found, pick.reduce(y, axis=0))
    known = np.isfinite(found)
    return np.interp(COLUMNS, COLUMNS[known], found[known])


def _mover(vertices, topology, jaw_open, line):
    """A function from an opening (len(COLUMNS),) to the displacement (V, 3) that closes it."""
    x, y, z = vertices.T
    skin = topology.parts["head"] | topology.parts["mouth_cavity_rim"] | topology.parts["mouth_cavity"]
    near = skin & (z > 90) & (np.abs(x) < 32)
    height = np.abs(y - np.interp(x, COLUMNS, line))
    weight = near * smooth_step(height, REACH, 1.0) * smooth_step(np.abs(x), 27, 22)
    side = np.where(is_upper(jaw_open), -0.5, 0.5) * weight

    def move(opening: np.ndarray) -> np.ndarray:
        return (side * np.interp(x, COLUMNS, opening))[:, None] * np.array([0.0, 1.0, 0.0])

    return move
