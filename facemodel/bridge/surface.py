"""Nearest points of a triangle mesh, and what its edges say: for registering one mesh to another.

Numpy throughout, double precision, millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

CANDIDATES = 24  # triangles with the nearest middles, among which the nearest point is looked for


@dataclass(frozen=True)
class Nearest:
    """The nearest points of a surface to N points."""

    triangles: np.ndarray  # (N,) indices into the surface's triangles
    barycentric: np.ndarray  # (N, 3)
    positions: np.ndarray  # (N, 3)
    normals: np.ndarray  # (N, 3) unit, interpolated from the vertices'
    distance: np.ndarray  # (N,)
    agreement: np.ndarray  # (N,) cosine between the normal there and that asked for; 1 where none was


class Surface:
    """Triangles of a mesh, ready to be asked for nearest points."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, used: np.ndarray | None = None) -> None:
        """``used``: (T,) bool, the triangles that take part; indices are always into all of them."""
        self.vertices, self.triangles = vertices, triangles
        self.used = np.arange(len(triangles)) if used is None else np.flatnonzero(used)
        self.normals = vertex_normals(vertices, triangles)
        self._corners = vertices[triangles[self.used]]
        self._tree = cKDTree(self._corners.mean(1))

    def nearest(self, points: np.ndarray, normals: np.ndarray | None = None, facing: float = 0.3) -> Nearest:
        """The nearest points to (N, 3) points.

        normals: (N, 3) unit; triangles whose normal has a cosine below ``facing`` with it count as 30 mm further away.
        """
        near = self._tree.query(points, k=min(CANDIDATES, len(self.used)))[1].reshape(len(points), -1)
        bary = _nearest_on_triangle(points[:, None], *np.moveaxis(self._corners[near], 2, 0))
        at = (self._corners[near] * bary[..., None]).sum(2)
        distance = np.linalg.norm(at - points[:, None], axis=-1)
        corners = self.normals[self.triangles[self.used[near]]]
        normal = _unit((corners * bary[..., None]).sum(2))
        agreement = np.ones(distance.shape) if normals is None else (normal * normals[:, None]).sum(-1)
        best = (distance + 30.0 * (agreement < facing)).argmin(1)
        row = np.arange(len(points))
        return Nearest(
            self.used[near[row, best]],
            bary[row, best],
            at[row, best],
            normal[row, best],
            distance[row, best],
            agreement[row, best],
        )


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 3) unit, by area; zero of vertices without triangles."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, triangles[:, k], faces)
    return _unit(normals)


def edges_of(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) sorted vertex pairs, each once, and of how many triangles (E,) each is an edge."""
    pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(pairs, axis=0, return_counts=True)


def boundary(triangles: np.ndarray, count: int) -> np.ndarray:
    """(V,) bool: vertices on an edge of one triangle alone."""
    edges, times = edges_of(triangles)
    found = np.zeros(count, dtype=bool)
    found[edges[times == 1]] = True
    return found


def components(triangles: np.ndarray, count: int) -> np.ndarray:
    """(V,) the number of the connected part that a vertex belongs to."""
    edges, _ = edges_of(triangles)
    links = sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count))
    return sparse.csgraph.connected_components(links, directed=False)[1]


def laplacian(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """(V, V): a vertex less the mean of its neighbours; a zero row where there are none."""
    edges, _ = edges_of(triangles)
    both = np.concatenate([edges, edges[:, ::-1]])
    links = sparse.csr_matrix((np.ones(len(both)), both.T), (count, count))
    degree = np.asarray(links.sum(1)).ravel()
    inverse = np.divide(1.0, degree, out=np.zeros(count), where=degree > 0)
    return sparse.diags((degree > 0).astype(float)) - sparse.diags(inverse) @ links


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _nearest_on_triangle(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentric weights (..., 3) of the triangle's nearest point. Ericson, "Real-time collision detection", 5.1.5."""
    ab, ac, ap = b - a, c - a, p - a
    d1, d2 = (ab * ap).sum(-1), (ac * ap).sum(-1)
    bp, cp = p - b, p - c
    d3, d4 = (ab * bp).sum(-1), (ac * bp).sum(-1)
    d5, d6 = (ab * cp).sum(-1), (ac * cp).sum(-1)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    zero, one = np.zeros_like(d1), np.ones_like(d1)

    def share(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.divide(x, x - y, out=np.zeros_like(x), where=np.abs(x - y) > 1e-20)

    # On bc: (d4 - d3) / ((d4 - d3) + (d5 - d6)).
    on_ab, on_ac, on_bc = share(d1, d3), share(d2, d6), share(d4 - d3, d6 - d5)
    total = va + vb + vc
    inside = 1 / np.where(np.abs(total) > 1e-20, total, 1.0)
    cases = [
        ((d1 <= 0) & (d2 <= 0), (one, zero, zero)),
        ((d3 >= 0) & (d4 <= d3), (zero, one, zero)),
        ((d6 >= 0) & (d5 <= d6), (zero, zero, one)),
        ((vc <= 0) & (d1 >= 0) & (d3 <= 0), (1 - on_ab, on_ab, zero)),
        ((vb <= 0) & (d2 >= 0) & (d6 <= 0), (1 - on_ac, zero, on_ac)),
        ((va <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0), (zero, 1 - on_bc, on_bc)),
    ]
    rest = (1 - (vb + vc) * inside, vb * inside, vc * inside)
    where = [condition for condition, _ in cases]
    return np.stack([np.select(where, [w[k] for _, w in cases], rest[k]) for k in range(3)], -1)
