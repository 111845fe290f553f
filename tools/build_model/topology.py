"""The head's mesh cut out of MakeHuman's base mesh: which vertices, which faces, which belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.build_model.eyeball import mirrored, unit_eyeball
from tools.build_model.source import Source

EYE_RADIUS = 12.0  # mm, of the mean eyeball; fits the lids' inner edges of the base mesh
PARTS = {"helper-tongue": "tongue", "helper-upper-teeth": "upper_teeth", "helper-lower-teeth": "lower_teeth"}
SIDES = ("l", "r")


@dataclass(frozen=True)
class Topology:
    """Vertices: the head's, tongue's and teeth's taken over from the base mesh, then the left and right eyeball's.

    ``base`` are the S taken-over vertices in the base mesh; arrays over vertices count the eyeballs too (V).
    """

    base: np.ndarray  # (S,) index in the base mesh
    parts: dict[str, np.ndarray]  # (V,) bool: head, eye_cavity, mouth_cavity, tongue, upper_teeth, lower_teeth, eyes
    mirror: np.ndarray  # (V,)
    quads: np.ndarray  # (Q, 4) of the taken-over vertices
    eye_triangles: np.ndarray  # (E, 3) of all vertices
    eye_vertices: tuple[np.ndarray, np.ndarray]  # left, right
    eye_directions: np.ndarray  # (N, 3) unit, of either eyeball
    eye_polar: np.ndarray  # (N,) angle from the front pole

    @property
    def count(self) -> int:
        return len(self.mirror)

    def triangles(self, vertices: np.ndarray) -> np.ndarray:
        """(T, 3) Quads cut along their shorter diagonal on ``vertices`` (V, 3), then the eyeballs'; symmetric."""
        a, b, c, d = (vertices[self.quads[:, k]] for k in range(4))
        first = np.linalg.norm(a - c, axis=1)
        second = np.linalg.norm(b - d, axis=1)
        partner = self.quad_mirror()
        shorter = (first + first_of(partner, self.quads, self.mirror, first, second)) <= (
            second + first_of(partner, self.quads, self.mirror, second, first)
        )
        q = np.where(shorter[:, None], self.quads, np.roll(self.quads, -1, axis=1))
        return np.concatenate([q[:, [0, 1, 2]], q[:, [0, 2, 3]], self.eye_triangles])

    def quad_mirror(self) -> np.ndarray:
        """(Q,) the quad mirrored."""
        key = {tuple(sorted(q)): i for i, q in enumerate(self.quads.tolist())}
        return np.array([key[tuple(sorted(q))] for q in self.mirror[self.quads].tolist()])


def first_of(partner, quads, mirror, same, other):
    """The mirrored quad's length of the diagonal that mirrors this quad's diagonal 0-2 (``same``) or 1-3."""
    corner = mirror[quads[:, 0]]
    on_even = (quads[partner][:, [0, 2]] == corner[:, None]).any(1)
    return np.where(on_even, same[partner], other[partner])


def build_topology(source: Source) -> Topology:
    mesh = source.mesh
    names = np.array(mesh.group_names)[mesh.groups]
    labels = source.face_labels
    reference = mesh.vertices
    body = names == "body"
    near = _above_neck(reference)[mesh.quads].all(1)
    kept = (body & near) | np.isin(names, list(PARTS))
    base = np.unique(mesh.quads[kept])
    back = np.full(len(reference), -1)
    back[base] = np.arange(len(base))
    directions, triangles, polar = unit_eyeball(EYE_RADIUS)
    size, total = len(base), len(base) + 2 * len(directions)
    eyes = tuple(size + e * len(directions) + np.arange(len(directions)) for e in range(2))
    across = mirrored(directions)
    mirror = np.concatenate([back[mesh.mirror[base]], eyes[1][across], eyes[0][across]])
    if (mirror < 0).any() or (mirror[mirror] != np.arange(total)).any():
        raise ValueError("the cut-out head isn't mirror-symmetric")
    parts = {"eyes": np.arange(total) >= size}
    for group, name in PARTS.items():
        parts[name] = _mask(total, back[np.unique(mesh.quads[names == group])])
    for name in ("eye_cavity", "mouth_cavity"):
        inside = np.isin(labels, [name, f"{name}.L", f"{name}.R"]) & kept
        outside = kept & body & ~inside
        parts[name] = _mask(total, back[np.setdiff1d(mesh.quads[inside], mesh.quads[outside])])
        parts[f"{name}_rim"] = _mask(total, back[np.intersect1d(mesh.quads[inside], mesh.quads[outside])])
    separate = np.any([parts[p] for p in ("eyes", "tongue", "upper_teeth", "lower_teeth")], axis=0)
    parts["head"] = ~separate & ~parts["eye_cavity"] & ~parts["mouth_cavity"]
    return Topology(
        base=base,
        parts=parts,
        mirror=mirror,
        quads=back[mesh.quads[kept]],
        eye_triangles=np.concatenate([triangles + e[0] for e in eyes]),
        eye_vertices=eyes,
        eye_directions=directions,
        eye_polar=polar,
    )


def _above_neck(vertices: np.ndarray) -> np.ndarray:
    """(N,) bool: above a plane that falls from the nape to the throat, and not on the shoulders."""
    x, y, z = vertices.T
    return (y > 577.0 + 0.25 * np.abs(x) - 0.3 * z) & (np.abs(x) < 105)


def _mask(count: int, index: np.ndarray) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[index[index >= 0]] = True
    return mask
