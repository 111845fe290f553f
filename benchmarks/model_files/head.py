"""A made-up head, which may be written anywhere, and its mesh as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Where some of iBUG's 68 are on the made-up head, mm; the rest lie along its jaw.
MARKS = {
    8: (0, -95, 40), 27: (0, 35, 88), 30: (0, -5, 112), 33: (0, -20, 92), 36: (-45, 25, 76), 39: (-18, 25, 84),
    42: (18, 25, 84), 45: (45, 25, 76), 48: (-25, -45, 80), 51: (0, -38, 90), 54: (25, -45, 80), 57: (0, -55, 86),
    62: (0, -43, 88), 66: (0, -48, 88),
}  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A made-up head, mm: an egg with a nose and two eyeballs."""

    vertices: np.ndarray  # (V, 3)
    triangles: np.ndarray  # (T, 3) from 0, counter-clockwise seen from outside
    eyes: tuple[np.ndarray, np.ndarray]  # vertices of the left eyeball, of the right
    centers: np.ndarray  # (2, 3)
    marks: np.ndarray  # (68,) vertices
    jaw: tuple[np.ndarray, np.ndarray] | None = None  # how much it carries of each vertex (V,); its joint (3,) mm

    def basis(self, count: int, size: float, seed: int, decay: float = 0.97) -> np.ndarray:
        """(K, V, 3) smooth offsets, mm, of decreasing size."""
        rng = np.random.default_rng(seed)
        waves = rng.normal(size=(count, 3, 3)) / 60
        phases, amounts = rng.uniform(0, 6.28, (count, 3)), rng.normal(size=(count, 3))
        fields = np.sin(self.vertices @ waves + phases[:, None]) * amounts[:, None]
        sizes = size * decay ** np.arange(count)
        return fields / np.sqrt((fields**2).sum(-1).mean(-1))[:, None, None] * sizes[:, None, None]


def _sphere(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere with its poles on y, closed, outwards."""
    polar = np.linspace(0, np.pi, rows + 1)[1:-1]
    around = np.arange(columns) * 2 * np.pi / columns
    ring = np.stack(
        [
            np.outer(np.sin(polar), np.sin(around)),
            np.outer(np.cos(polar), np.ones(columns)),
            np.outer(np.sin(polar), np.cos(around)),
        ],
        -1,
    ).reshape(-1, 3)
    points = np.concatenate([[[0, 1, 0]], ring, [[0, -1, 0]]])
    last, faces = len(points) - 1, []
    for c in range(columns):
        n = (c + 1) % columns
        faces.append((0, 1 + c, 1 + n))
        for r in range(rows - 2):
            a, b = 1 + r * columns, 1 + (r + 1) * columns
            faces += [(a + c, b + c, b + n), (a + c, b + n, a + n)]
        a = 1 + (rows - 2) * columns
        faces.append((a + c, last, a + n))
    return points, np.array(faces)


def make_head(rows: int = 12, columns: int = 18) -> Head:
    skull, faces = _sphere(rows, columns)
    skull = skull * (75.0, 110.0, 90.0)
    nose = np.exp(-((skull[:, 0] / 15) ** 2 + ((skull[:, 1] + 5) / 20) ** 2)) * (skull[:, 2] > 0)
    skull[:, 2] += 25 * nose
    ball, ball_faces = _sphere(5, 6)
    centers = np.array([[32.0, 25.0, 68.0], [-32.0, 25.0, 68.0]])
    parts, tables, eyes, start = [skull], [faces], [], len(skull)
    for center in centers:
        parts.append(ball * 12 + center)
        tables.append(ball_faces + start)
        eyes.append(np.arange(start, start + len(ball)))
        start += len(ball)
    vertices = np.concatenate(parts)
    jaw = {k: (75 * np.cos(np.pi * (1 + k / 16)), -95 * np.sin(np.pi * k / 16), 40) for k in range(17)}
    brow = {k: (-50 + 100 * (k - 17) / 9, 45, 75) for k in range(17, 27)}
    wanted = {k: (0.0, 0.0, 100.0) for k in range(68)} | jaw | brow | MARKS
    marks = np.array([((skull - wanted[k]) ** 2).sum(-1).argmin() for k in range(68)])
    return Head(vertices, np.concatenate(tables), tuple(eyes), centers, marks)


def write_obj(path: Path, head: Head) -> Path:
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*v) for v in head.vertices]
    lines += ["f {} {} {}".format(*(t + 1)) for t in head.triangles]
    path.write_text("\n".join(lines) + "\n")
    return path
