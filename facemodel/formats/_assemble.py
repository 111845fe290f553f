"""From what a reader found to a face model: units, prior, landmarks, colours, checks; the same for all formats.

Enters: `Parts` in numpy, as a file has them. Leaves: a `LinearModel`, `JointedModel` or `BilinearModel` in millimetres.
The readers of `facemodel.formats` call it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel.base import Block
from facemodel.bilinear import BilinearModel
from facemodel.formats._containers import sha256
from facemodel.jointed import JointedModel, Skeleton
from facemodel.linear import LinearModel
from facemodel.provenance import Provenance
from foundation.errors import PortraitError
from geometry.color import srgb_to_linear

CONTOUR = slice(0, 17)  # of iBUG's 68
CHIN = 8
MEDIAPIPE = (  # the points of MediaPipe's 478 that are iBUG's 17 to 67, and 152 is its chin
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """What coefficients and joints may be, and how well landmarks are tied, where a file doesn't say it."""

    limit: float = 4.0  # standard deviations, of expressions that have signs
    landmark: float = 0.5  # weight of a landmark that somebody put onto the mesh
    contour: float = 0.05  # of one that slides along the jaw as the head turns
    # Radians, by the joint's name: lower and upper bounds and std of its three angles.
    joints: Mapping[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = field(
        default_factory=lambda: {
            "jaw": ((-0.05, -0.2, -0.2), (0.7, 0.2, 0.2), (0.15, 0.05, 0.05)),
            "neck": ((-0.6,) * 3, (0.6,) * 3, (0.1,) * 3),
            "head": ((-0.6,) * 3, (0.6,) * 3, (0.1,) * 3),
        }
    )
    other_joint: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] = (
        (-1.0,) * 3,
        (1.0,) * 3,
        (0.2,) * 3,
    )


PRIOR = Prior()


def signed(names: Sequence[str], limit: float = PRIOR.limit) -> Block:
    """Expressions in standard deviations around rest, of either sign."""
    count = len(names)
    bound = torch.full((count,), limit)
    return Block(tuple(names), -bound, bound, torch.zeros(count), torch.ones(count))


def numbered(count: int, prefix: str = "expression", first: int = 0) -> list[str]:
    return [f"{prefix} {k + first}" for k in range(count)]


def joined(*blocks: Block) -> Block:
    """Several blocks' coefficients in one."""
    parts = [torch.cat([getattr(b, p) for b in blocks]) for p in ("lower", "upper", "mean", "std")]
    return Block(tuple(n for b in blocks for n in b.names), *parts)


def joint_block(skeleton: Skeleton, prior: Prior = PRIOR) -> Block:
    """The block of a skeleton's free joints."""
    rows = [prior.joints.get(skeleton.names[k], prior.other_joint) for k in skeleton.free]
    lower, upper, std = (torch.tensor([x for row in rows for x in row[p]]) for p in range(3))
    names = tuple(f"{skeleton.names[k]} {axis}" for k in skeleton.free for axis in "xyz")
    return Block(names, lower, upper, torch.zeros(len(names)), std)


@dataclass
class Parts:
    """A model as its file has it. Lengths in the file's unit; triangles 0-based; ``scale`` makes millimetres."""

    mean: np.ndarray  # (V, 3)
    triangles: np.ndarray  # (T, 3)
    identity: np.ndarray  # (I, V, 3) a standard deviation
    expression: np.ndarray  # (E, V, 3) a unit of `block`
    block: Block
    scale: float
    unit: str
    format: str
    license: str
    notes: list[str] = field(default_factory=list)
    albedo: tuple[np.ndarray, np.ndarray] | None = None  # (V, 3), (A, V, 3) sRGB 0 to 1, a standard deviation
    uv: tuple[np.ndarray, np.ndarray] | None = None  # (U, 2) v up, (T, 3)
    landmarks: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)  # see `on_vertices`
    regions: dict[str, np.ndarray] = field(default_factory=dict)  # (V,) bool
    eyes: Eyeballs | None = None
    skeleton: Skeleton | None = None
    joints: dict[str, np.ndarray] = field(default_factory=dict)  # the tensors of `JointedModel`, the file's unit
    tucker: dict[str, np.ndarray] = field(default_factory=dict)  # the tensors of `BilinearModel`, the file's unit

    @classmethod
    def without_expressions(
        cls,
        mean: np.ndarray,
        triangles: np.ndarray,
        identity: np.ndarray,
        scale: float,
        unit: str,
        format: str,
        license: str,
    ) -> Parts:
        none, notes = np.zeros((0, *mean.shape)), ["it has no expressions"]
        return cls(mean, triangles, identity, none, signed(()), scale, unit, format, license, notes)


@dataclass(frozen=True)
class Eyeballs:
    """Vertices of the two eyeballs, the left first, and where they are, in the file's unit."""

    vertices: tuple[np.ndarray, np.ndarray]
    center: np.ndarray  # (2, 3)
    center_basis: np.ndarray  # (I, 2, 3)
    radius: np.ndarray  # (2,)
    radius_basis: np.ndarray  # (I, 2)

    @classmethod
    def around(
        cls, vertices: tuple[np.ndarray, np.ndarray], center: np.ndarray, center_basis: np.ndarray,
        mean: np.ndarray, basis: np.ndarray,
    ) -> Eyeballs:  # fmt: skip
        """Radii by the vertices' mean distance from known centres, and how identity changes it."""
        radius, radius_basis = np.zeros(2), np.zeros((len(basis), 2))
        for e, index in enumerate(vertices):
            offsets = mean[index] - center[e]
            lengths = np.linalg.norm(offsets, axis=-1)
            radius[e] = lengths.mean()
            direction = offsets / np.maximum(lengths, 1e-12)[:, None]
            radius_basis[:, e] = ((basis[:, index] - center_basis[:, e, None]) * direction).sum(-1).mean(-1)
        return cls(vertices, center, center_basis, radius, radius_basis)

    @classmethod
    def fitted(
        cls, vertices: tuple[np.ndarray, np.ndarray], mean: np.ndarray, basis: np.ndarray
    ) -> Eyeballs:  # fmt: skip
        """Spheres through the vertices, of the mean and, by difference, of each identity component."""

        def spheres(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            center, radius = np.zeros((2, 3)), np.zeros(2)
            for e, index in enumerate(vertices):
                p = points[index]
                rows = np.c_[2 * p, np.ones(len(p))]
                found = np.linalg.lstsq(rows, (p * p).sum(-1), rcond=None)[0]
                center[e], radius[e] = found[:3], np.sqrt(max(found[3] + found[:3] @ found[:3], 0.0))
            return center, radius

        center, radius = spheres(mean)
        moved = [spheres(mean + b) for b in basis]
        center_basis = np.array([c - center for c, _ in moved]).reshape(len(basis), 2, 3)
        return cls(vertices, center, center_basis, radius, np.array([r - radius for _, r in moved]).reshape(-1, 2))


# -- what readers convert with ------------------------------------------------------------------------------------


def components(basis: np.ndarray, std: np.ndarray | float = 1.0, count: int | None = None) -> np.ndarray:
    """(3 V, K) columns times their standard deviations (K,) -> (K, V, 3)."""
    basis = np.asarray(basis)
    if basis.ndim != 2 or basis.shape[0] % 3:
        raise ValueError(f"a basis of shape {basis.shape}")
    std = np.broadcast_to(np.asarray(std, dtype=np.float64).ravel(), (basis.shape[1],))[:count]
    return (basis[:, :count].T.astype(np.float64) * std[:, None]).reshape(len(std), -1, 3)


def points(flat: np.ndarray) -> np.ndarray:
    """x1 y1 z1 x2 ... in any shape -> (V, 3)."""
    return np.asarray(flat, dtype=np.float64).reshape(-1, 3)


def corners(table: np.ndarray, base: int, swap: bool = False) -> np.ndarray:
    """Triangles (T, 3), or (3, T), or quads (Q, 4), counted from ``base`` -> (T, 3) int64 from 0.

    swap: the file's go around the other way.
    """
    table = np.asarray(table)
    if table.ndim == 2 and table.shape[0] in (3, 4) and table.shape[1] not in (3, 4):
        table = table.T
    if table.ndim != 2 or table.shape[1] not in (3, 4):
        raise ValueError(f"triangles of shape {table.shape}")
    table = np.rint(np.asarray(table, dtype=np.float64)).astype(np.int64) - base
    if table.shape[1] == 4:
        table = np.concatenate([table[:, [0, 1, 2]], table[:, [0, 2, 3]]], 1).reshape(-1, 3)
    return table[:, [0, 2, 1]] if swap else table


def on_vertices(
    triangles: np.ndarray, vertices: Mapping[int, int], count: int, weight: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A scheme's landmarks that are vertices: {landmark: vertex} -> triangles (L,), barycentric (L, 3), weights (L,).

    Landmarks that aren't there, or on vertices without a triangle, have weight 0.
    """
    at, bary, weights = np.zeros(count, np.int64), np.full((count, 3), 1 / 3), np.zeros(count)
    full = np.broadcast_to(np.asarray(weight, dtype=np.float64), (count,))
    for landmark, vertex in vertices.items():
        found = np.flatnonzero(triangles.ravel() == vertex)
        if len(found):
            at[landmark], corner = divmod(int(found[0]), 3)
            bary[landmark], weights[landmark] = np.eye(3)[corner], full[landmark]
    return at, bary, weights


def ibug_weights(prior: Prior = PRIOR) -> np.ndarray:
    weights = np.full(68, prior.landmark)
    weights[CONTOUR] = prior.contour
    return weights


def as_mediapipe(
    ibug: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MediaPipe's landmarks (478) of a model that has iBUG's alone: those that both know, the others of weight 0."""
    theirs, ours = np.r_[CHIN, 17:68], np.r_[152, MEDIAPIPE]
    at, bary, weights = np.zeros(478, np.int64), np.full((478, 3), 1 / 3), np.zeros(478)
    for part, values in zip((at, bary, weights), ibug):
        part[ours] = values[theirs]
    return at, bary, weights


def on_triangles(triangles: np.ndarray, corners: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks between three vertices each, (L, 3) with shares (L, 3) -> triangles (L,), barycentric (L, 3).

    Where the three aren't a triangle's, the nearest vertex takes the landmark.
    """
    known = {tuple(sorted(t)): n for n, t in enumerate(triangles.tolist())}
    at, bary = np.zeros(len(corners), np.int64), np.zeros((len(corners), 3))
    for row, (three, weights) in enumerate(zip(corners.tolist(), shares)):
        found = known.get(tuple(sorted(three)))
        if found is None:
            nearest = three[int(np.argmax(weights))]
            one, there, _ = on_vertices(triangles, {0: nearest}, 1, 1.0)
            at[row], bary[row] = one[0], there[0]
        else:
            at[row] = found
            bary[row] = [weights[three.index(v)] for v in triangles[found].tolist()]
    return at, bary


def mask(count: int, index: np.ndarray) -> np.ndarray:
    """(V,) bool of vertex indices."""
    found = np.zeros(count, dtype=bool)
    found[index] = True
    return found


def outwardness(vertices: np.ndarray, triangles: np.ndarray) -> float:
    """-1 to 1: how far the triangles' normals point away from the middle, by area; below 0 is inwards."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    middle = (a + b + c) / 3
    center = (vertices.min(0) + vertices.max(0)) / 2
    away = middle - center
    away /= np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-12)
    return float((normals * away).sum() / max(np.linalg.norm(normals, axis=-1).sum(), 1e-12))


# -- the model ----------------------------------------------------------------------------------------------------


def assemble(parts: Parts, path: Path, files: Sequence[Path], prior: Prior = PRIOR) -> LinearModel:
    """The model. ``path``: as the user gave it; ``files``: all that were read, for the fingerprint.

    Raises:
        PortraitError: shapes that don't belong together, indices out of range, numbers that aren't finite.
    """
    count, s, notes = len(parts.mean), parts.scale, list(parts.notes)
    triangles = np.asarray(parts.triangles)
    _check(parts, path, count)
    turned = outwardness(parts.mean, triangles) < 0
    if turned:
        triangles = triangles[:, [0, 2, 1]]
        notes.append("its triangles faced inwards: they were turned around")
    tensors: dict[str, np.ndarray] = {
        "mean": parts.mean * s,
        "triangles": triangles,
        "identity_basis": parts.identity * s,
        "expression_basis": parts.expression * s,
    }
    if parts.albedo is not None:
        mean, basis = parts.albedo
        linear = srgb_to_linear(torch.from_numpy(np.clip(mean, 0, 1))).numpy()
        tensors |= {"albedo_mean": linear, "albedo_basis": basis * _srgb_slope(mean)}
        notes.append("its colours are sRGB and linear there; here they are linear light, exact at the mean")
    if parts.uv is not None:
        uv, uv_triangles = parts.uv
        tensors |= {"uv": uv, "uv_triangles": uv_triangles[:, [0, 2, 1]] if turned else uv_triangles}
    if parts.regions:
        tensors["region_masks"] = np.stack(list(parts.regions.values()))
    if parts.eyes is not None:
        eyes = parts.eyes
        tensors |= {
            "eye_vertices_left": eyes.vertices[0],
            "eye_vertices_right": eyes.vertices[1],
            "eye_center_mean": eyes.center * s,
            "eye_center_basis": eyes.center_basis * s,
            "eye_radius_mean": eyes.radius * s,
            "eye_radius_basis": eyes.radius_basis * s,
        }
    landmarks = dict(parts.landmarks)
    if "ibug68" in landmarks and "mediapipe478" not in landmarks:
        landmarks["mediapipe478"] = as_mediapipe(landmarks["ibug68"])
        shared = int((landmarks["mediapipe478"][2] > 0).sum())
        notes.append(f"MediaPipe's landmarks are the {shared} that iBUG's 68 know as well")
    for scheme, (at, bary, weights) in landmarks.items():
        tensors |= {
            f"landmark_triangles_{scheme}": at,
            f"landmark_barycentric_{scheme}": bary[:, [0, 2, 1]] if turned else bary,
            f"landmark_weights_{scheme}": weights,
        }
    lengths = ("joint_mean", "joint_identity_basis", "joint_expression_basis", "pose_correctives", "core")
    tensors |= {k: v * s if k in lengths else v for k, v in (parts.joints | parts.tucker).items()}
    digest = sha256(files)
    about = {
        "name": path.stem or path.name,
        "fingerprint": digest[:16],
        "license": parts.license,
        "expression": parts.block,
        "region_names": tuple(parts.regions),
    }
    converted = {k: _tensor(path, k, v) for k, v in tensors.items()}
    if parts.skeleton is not None:
        model = JointedModel(converted, skeleton=parts.skeleton, joints=joint_block(parts.skeleton, prior), **about)
    else:
        model = (BilinearModel if parts.tucker else LinearModel)(converted, **about)
    names = tuple(dict.fromkeys(f.name for f in files))
    names = names if len(names) <= 6 else (*names[:5], f"and {len(names) - 5} more")
    model.provenance = Provenance(parts.format, names, digest, parts.unit, tuple(notes))
    return model


def refused(path: Path, reason: str) -> PortraitError:
    return PortraitError(f"model '{path}': {reason}; get the file again from where it is published")


def _check(parts: Parts, path: Path, count: int) -> None:
    wanted = {
        "mean": (parts.mean, (count, 3)),
        "triangles": (parts.triangles, (len(parts.triangles), 3)),
        "identity": (parts.identity, (len(parts.identity), count, 3)),
        "expression": (parts.expression, (len(parts.block), count, 3)),
    }
    if parts.albedo is not None:
        wanted["mean colours"] = (parts.albedo[0], (count, 3))
        wanted["colours"] = (parts.albedo[1], (len(parts.albedo[1]), count, 3))
    if parts.uv is not None:
        wanted["texture triangles"] = (parts.uv[1], (len(parts.triangles), 3))
    for name, (value, shape) in wanted.items():
        if np.shape(value) != shape:
            raise refused(path, f"its {name} are of shape {np.shape(value)}, expected {shape}")
    if count < 4 or not len(parts.triangles):
        raise refused(path, "it has no surface")
    tables = [("triangles", parts.triangles, count)]
    if parts.uv is not None:
        tables.append(("texture triangles", parts.uv[1], len(parts.uv[0])))
    for name, table, size in tables:
        if table.min() < 0 or table.max() >= size:
            raise refused(path, f"its {name} point to {table.min()} to {table.max()}, expected 0 to {size - 1}")
    for name, value in (("mean", parts.mean), ("identity", parts.identity), ("expression", parts.expression)):
        if not np.isfinite(value).all():
            raise refused(path, f"its {name} has numbers that aren't finite (NaN or infinite)")
    if float(np.abs(parts.mean - parts.mean.mean(0)).max()) * parts.scale < 1e-3:
        raise refused(path, "all of its vertices are in one place")


def _tensor(path: Path, name: str, value: np.ndarray) -> Tensor:
    value = np.asarray(value)
    if value.dtype == bool or np.issubdtype(value.dtype, np.integer):
        return torch.from_numpy(np.ascontiguousarray(value if value.dtype == bool else value.astype(np.int64)))
    if not np.isfinite(value).all():
        raise refused(path, f"its {name} has numbers that aren't finite (NaN or infinite)")
    return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))


def _srgb_slope(srgb: np.ndarray) -> np.ndarray:
    """The derivative of linear light by sRGB, both 0 to 1."""
    clipped = np.clip(srgb, 0, 1)
    return np.where(clipped <= 0.04045, 1 / 12.92, 2.4 / 1.055 * ((clipped + 0.055) / 1.055) ** 1.4)
