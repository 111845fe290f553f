"""Compiled CPU kernels of the search for the gaze; the reference in plain torch is in `fitting.energy.gaze`.

Imported only where they are used, since Numba takes a while to import. They give what the reference gives, up to the
table in which the iris' edge is looked up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foundation.compiled import jit

F = np.float32
TABLE = 512  # steps across the iris' edge
EDGE = 9.0  # widths to either side of it, beyond which a pixel is iris or white


class View(NamedTuple):
    """How the camera sees an eyeball; in double, for the ray that meets it is found from a difference of squares."""

    focal: float  # px of the square about the eye
    middle: np.ndarray  # (2,) principal point, px of it
    centre: np.ndarray  # (3,) mm, camera frame
    radius: float  # mm
    rotation: np.ndarray  # (3, 3) of the head
    axes: np.ndarray  # (3,) what takes the model's axes to the camera's


class Eye(NamedTuple):
    """`fitting.energy.gaze.EyeballPixels`, as the search has them."""

    directions: np.ndarray  # (P, 3) float32
    brightness: np.ndarray  # (P,) float32, about its mean
    power: float
    softness: float
    count: float  # 0: nothing is seen


class Search(NamedTuple):
    """Of `fitting.policy.settings.GazeSearch`, and what it's for."""

    iris: float  # rad
    reach: float  # rad
    std: float  # rad
    rounds: int
    grid: int
    independent: float
    noise: float
    apart: np.ndarray  # (2,) rad


@jit
def eyeball_pixels(owner, brightness, view):
    """Unit directions (P, 3) of an eyeball's pixels from its centre, model axes, and their brightness (P,).

    Args:
        owner: (S, S) bool, where the eyeball is seen; its outermost pixels are left out, since lids are fitted to
            about a pixel. brightness: (S, S). view: `View`.
    """
    size = owner.shape[0]
    centre, radius, rotation, axes = view.centre, view.radius, view.rotation, view.axes
    away = centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2 - radius**2
    directions, values = np.empty((size * size, 3), np.float32), np.empty(size * size, np.float32)
    found = 0
    for y in range(1, size - 1):
        for x in range(1, size - 1):
            if not owner[y, x]:
                continue
            whole = True
            for v in range(y - 1, y + 2):
                for u in range(x - 1, x + 2):
                    whole = whole and owner[v, u]
            if not whole:
                continue
            rx, ry = (x + 0.5 - view.middle[0]) / view.focal, (y + 0.5 - view.middle[1]) / view.focal
            rz = 1 / np.sqrt(rx * rx + ry * ry + 1)
            rx, ry = rx * rz, ry * rz
            along = rx * centre[0] + ry * centre[1] + rz * centre[2]
            depth = along - np.sqrt(max(along * along - away, 0.0))
            px, py = (rx * depth - centre[0]) * axes[0], (ry * depth - centre[1]) * axes[1]
            pz = (rz * depth - centre[2]) * axes[2]
            length = np.sqrt(px * px + py * py + pz * pz)
            for k in range(3):
                directions[found, k] = (px * rotation[0, k] + py * rotation[1, k] + pz * rotation[2, k]) / length
            values[found] = brightness[y, x]
            found += 1
    return directions[:found], values[:found]


@jit
def edge(eye, iris):
    """How white a pixel is by the cosine of its angle to the gaze: a table, its first cosine and its steps a unit."""
    first = np.cos(min(iris + EDGE * eye.softness, np.pi))
    last = np.cos(max(iris - EDGE * eye.softness, 0.0))
    table = np.empty(TABLE + 1, np.float32)
    for k in range(TABLE + 1):
        angle = np.arccos(first + (last - first) * k / TABLE)
        table[k] = 1 / (1 + np.exp(-(angle - iris) / eye.softness))
    return table, F(first), F(TABLE / (last - first))


@jit
def unlikely(eye, edges, yaw, pitch, search):
    """Negative log-likelihood of a gaze."""
    table, first, steps = edges
    gx, gy, gz = F(np.sin(yaw) * np.cos(pitch)), F(np.sin(pitch)), F(np.cos(yaw) * np.cos(pitch))
    directions, brightness, count = eye.directions, eye.brightness, len(eye.brightness)
    total, squared, along, most = F(0), F(0), F(0), F(TABLE) - F(0.001)
    for n in range(count):
        cosine = directions[n, 0] * gx + directions[n, 1] * gy + directions[n, 2] * gz
        place = min(max((cosine - first) * steps, F(0)), most)
        k = int(place)
        white = table[k] + (place - F(k)) * (table[k + 1] - table[k])
        total += white
        squared += white * white
        along += white * brightness[n]
    spread = squared - total * total / count
    left = (eye.power - max(along, 0.0) ** 2 / max(spread, 1e-3)) / count
    return 0.5 * search.independent * eye.count * np.log(left + search.noise**2)


@jit
def lowest(costs, best):
    """Where along a grid (2 N + 1, 2 N + 1) the parabolas through its best place and the neighbours are lowest."""
    i, j = best
    off = np.zeros(2)
    if 0 < i < costs.shape[0] - 1:
        a, b, c = costs[i - 1, j], costs[i, j], costs[i + 1, j]
        off[0] = 0.5 * (a - c) / max(a - 2 * b + c, 1e-6)
    if 0 < j < costs.shape[1] - 1:
        a, b, c = costs[i, j - 1], costs[i, j], costs[i, j + 1]
        off[1] = 0.5 * (a - c) / max(a - 2 * b + c, 1e-6)
    return i + off[0], j + off[1]


@jit
def best_gaze(eyes, start, search):
    """(2, 2) gaze of both eyes; see `fitting.energy.gaze.best_gaze`.

    Args:
        eyes: two `Eye`. start: (2, 2) float64. search: `Search`.
    """
    left, right = eyes
    edges = edge(left, search.iris), edge(right, search.iris)
    grid, cx, cy, step = search.grid, 0.0, 0.0, search.reach
    for _ in range(search.rounds):
        least, bx, by = np.inf, cx, cy
        for i in range(-grid, grid + 1):
            for j in range(-grid, grid + 1):
                x, y = cx + step * i / grid, cy + step * j / grid
                cost = (x * x + y * y) / (2 * search.std**2)
                if left.count > 0:
                    cost += unlikely(left, edges[0], start[0, 0] + x, start[0, 1] + y, search)
                if right.count > 0:
                    cost += unlikely(right, edges[1], start[1, 0] + x, start[1, 1] + y, search)
                if cost < least:
                    least, bx, by = cost, x, y
        cx, cy, step = bx, by, step / grid * 1.5
    gaze = start + np.array([cx, cy])
    reach = max(search.apart[0], search.apart[1])
    costs = np.empty((2 * grid + 1, 2 * grid + 1))
    for _ in range(2):
        moved = gaze.copy()
        for side in range(2):
            eye = left if side == 0 else right
            if eye.count == 0:
                continue
            other = 1 - side
            best, least = (0, 0), np.inf
            for i in range(2 * grid + 1):
                for j in range(2 * grid + 1):
                    x, y = gaze[side, 0] + reach * (i - grid) / grid, gaze[side, 1] + reach * (j - grid) / grid
                    ox = (x - gaze[other, 0]) - (start[side, 0] - start[other, 0])
                    oy = (y - gaze[other, 1]) - (start[side, 1] - start[other, 1])
                    cost = unlikely(eye, edges[side], x, y, search)
                    cost += ((ox / search.apart[0]) ** 2 + (oy / search.apart[1]) ** 2) / 2
                    cost += ((x - start[side, 0]) ** 2 + (y - start[side, 1]) ** 2) / (2 * search.std**2)
                    costs[i, j] = cost
                    if cost < least:
                        least, best = cost, (i, j)
            i, j = lowest(costs, best)
            moved[side, 0] = gaze[side, 0] + reach * (i - grid) / grid
            moved[side, 1] = gaze[side, 1] + reach * (j - grid) / grid
        gaze = moved
    return gaze
