"""Bilinear models: FaceWarehouse's shapes of many people (Cao et al. 2014), FaceScape's core (Yang et al. 2020).

Both are tensors of absolute meshes, identity x expression x vertices; they leave in the Tucker form
(`facemodel.multilinear`), with identity in standard deviations and expressions from 0, at rest, to 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel.base import Block
from facemodel.formats import _assemble
from facemodel.formats._assemble import Parts
from facemodel.formats._containers import Summary, read_arrays, read_obj, summarize
from facemodel.formats._foreign import Extras, ForeignFormat
from facemodel.multilinear import build_tucker
from foundation.errors import PortraitError


@dataclass(frozen=True)
class Compression:
    """How much of a tensor is kept."""

    identities: int = 80  # components; FaceScape's 300 would need gigabytes
    tolerance: float = 1e-6  # singular values below this times the largest are dropped


COMPRESSION = Compression()
UNITS = {
    "millimetres": 1.0, "centimetres, times 10": 10.0, "tenths of a metre, times 100": 100.0,
    "metres, times 1000": 1000.0,
}  # fmt: skip
FACESCAPE_PEOPLE = 847  # whose factors have orthonormal columns, so that a factor's std is about 1 / sqrt(847)


def _tucker(parts: Parts, faces: np.ndarray, origin: np.ndarray, directions: np.ndarray, neutral: int) -> None:
    """Fills a model in from faces (K, S, V, 3): identity weights origin (K,) + coefficients x directions (I, K)."""
    count = faces.shape[1]
    tucker = build_tucker(torch.from_numpy(faces), tolerance=COMPRESSION.tolerance)
    to_core, to_expression = tucker.identity_factor.numpy(), tucker.expression_factor.numpy()
    rest = np.eye(count)[neutral]
    others = np.delete(np.eye(count), neutral, axis=0) - rest
    parts.tucker = {
        "core": tucker.core.numpy(),
        "vertex_factor": tucker.vertex_factor.numpy().T.reshape(-1, faces.shape[2], 3),
        "identity_origin": origin @ to_core,
        "identity_directions": directions @ to_core,
        "expression_origin": rest @ to_expression,
        "expression_directions": others @ to_expression,
    }
    mean = np.einsum("k,ksva->sva", origin, faces)
    parts.mean = mean[neutral]
    parts.identity = np.einsum("ik,kva->iva", directions, faces[:, neutral])
    parts.expression = np.delete(mean, neutral, axis=0) - mean[neutral]
    parts.block = Block.activations(tuple(_assemble.numbered(count - 1, first=1)))


def _empty(scale: float, unit: str, title: str, license: str, triangles: np.ndarray) -> Parts:
    nothing = np.zeros((0, 0, 3))
    return Parts(np.zeros((0, 3)), triangles, nothing, nothing, _assemble.signed(()), scale, unit, title, license)


def _obj_with(count: int, paths: list[Path], extras: Extras) -> tuple[np.ndarray, Path] | None:
    """Triangles of an OBJ of that many vertices: an extra file, or one beside the model."""

    def fits(path: Path, summary: Summary) -> bool:
        return summary.kind == "obj" and len(read_obj(path).vertices) == count

    found = extras.take(fits) or next((p for p in paths if fits(p, summarize(p))), None)
    return None if found is None else (read_obj(found).triangles, found)


# -- FaceWarehouse ------------------------------------------------------------------------------------------------


def _shapes_header(path: Path) -> tuple[int, int] | None:
    """How many shapes and vertices a shape.bs has; None of another file."""
    if not path.is_file() or path.stat().st_size < 12:
        return None
    with open(path, "rb") as file:
        shapes, vertices, faces = struct.unpack("<iii", file.read(12))
    whole = 12 + 12 * vertices * (shapes + 1)
    return (shapes, vertices) if 0 < shapes <= 512 and faces > 0 < vertices and path.stat().st_size == whole else None


class FaceWarehouseFormat(ForeignFormat):
    """See `facemodel.registry.Format`. A folder of people's folders, each with a shape.bs somewhere within."""

    name = "facewarehouse"
    title = "FaceWarehouse"
    extras = "a mesh of its topology (obj)"

    def _people(self, path: Path) -> list[Path]:
        files = [p for p in path.glob("**/*.bs") if len(p.relative_to(path).parts) <= 4]
        return sorted((p for p in files if _shapes_header(p)), key=lambda p: (len(str(p)), str(p)))

    def knows(self, path: Path, summary: Summary) -> bool:
        return bool(self._people(path)) if summary.kind == "folder" else _shapes_header(path) is not None

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        people = self._people(path) if path.is_dir() else [path]
        if len(people) < 2:
            raise PortraitError(
                f"model '{path}': FaceWarehouse's shapes of one person are no face model; give the folder that has all "
                "of the Tester folders"
            )
        sizes = {_shapes_header(p) for p in people}
        if len(sizes) > 1:
            raise _assemble.refused(path, "its people's shapes have different numbers of vertices or expressions")
        shapes, count = sizes.pop()
        found = _obj_with(count, sorted(path.glob("*.obj")) + sorted(path.glob("*/*/*.obj"))[:4], extras)
        if found is None:
            raise PortraitError(
                f"model '{path}': FaceWarehouse's shapes have no triangles; give an OBJ of {count} vertices, too"
            )
        faces = np.stack([np.fromfile(p, "<f4", offset=12).reshape(shapes + 1, count, 3) for p in people])
        faces = faces.astype(np.float64)
        scale, unit = _head_scale(faces[:, 0].mean(0))
        parts = _empty(
            scale, unit, self.title, "FaceWarehouse, Zhejiang University: by request, non-commercial", found[0]
        )
        origin, directions = _people_prior(faces)
        _tucker(parts, faces, origin, directions, neutral=0)
        parts.notes += [
            "its unit isn't in the files: it was told by the size of the mean face",
            "the names of its expressions aren't in the files: they are numbered in their order",
        ]
        return parts, [*people, *([found[1]] if found[1] not in extras.used else [])]


def _people_prior(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights over people (N,) of the mean, and (I, N) of a standard deviation of each principal component."""
    count = len(faces)
    centered = (faces - faces.mean(0)).reshape(count, -1)
    values, vectors = np.linalg.eigh(centered @ centered.T)
    order = np.argsort(values)[::-1]
    order = order[values[order] > 1e-9 * values.max()][: min(COMPRESSION.identities, count - 1)]
    # Component k is sum_n vectors[n, k] x centered[n]; over people its coefficient has std 1.
    directions = vectors[:, order].T / np.sqrt(max(count - 1, 1))
    directions = directions - directions.mean(1, keepdims=True)
    return np.full(count, 1 / count), directions


def _head_scale(mean: np.ndarray) -> tuple[float, str]:
    """The unit of which a face is nearest to 200 mm high."""
    height = float(np.ptp(mean[:, 1]))
    unit = min(UNITS, key=lambda u: abs(np.log(max(height, 1e-12) * UNITS[u] / 200)))
    return UNITS[unit], unit


# -- FaceScape ----------------------------------------------------------------------------------------------------


class FaceScapeFormat(ForeignFormat):
    """See `facemodel.registry.Format`. Version 1.6's npz, or the core alone (npy) of versions before."""

    name = "facescape"
    title = "FaceScape"
    extras = "for a core alone: a mesh of its topology (obj), factors_id_*.npy"
    EXPRESSIONS = 52
    KEYS = ("shape_bm_core", "fv_indices", "texcoords", "ft_indices", "lm_list_v16", "id_mean", "id_var")

    def knows(self, path: Path, summary: Summary) -> bool:
        if summary.kind == "npz":
            return summary.has("shape_bm_core", "fv_indices")
        return summary.kind == "npy" and self._axes(summary.shapes.get("", ())) is not None

    def _axes(self, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Which axes are identity, expression and vertices."""
        if len(shape) != 3 or self.EXPRESSIONS not in shape:
            return None
        vertex = int(np.argmax(shape))
        expression = next((k for k, n in enumerate(shape) if n == self.EXPRESSIONS and k != vertex), None)
        if expression is None or shape[vertex] % 3 or shape[vertex] < 12:
            return None
        return 3 - vertex - expression, expression, vertex

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        npz = summarize(path).kind == "npz"
        raw = read_arrays(path, self.KEYS if npz else None)
        core = np.asarray(raw["shape_bm_core" if npz else ""], dtype=np.float64)
        axes = (2, 1, 0) if npz else self._axes(core.shape)
        faces = core.transpose(axes)
        faces = faces.reshape(*faces.shape[:2], -1, 3)[: COMPRESSION.identities]
        kept, total, count = len(faces), core.shape[axes[0]], faces.shape[2]
        files = [path]
        if npz:
            triangles = _assemble.corners(raw["fv_indices"], 1)
        else:
            found = _obj_with(count, sorted(path.parent.glob("*.obj"))[:4], extras)
            if found is None:
                raise PortraitError(
                    f"model '{path}': FaceScape's core has no triangles; give an OBJ of {count} vertices, too"
                )
            triangles = found[0]
            files += [found[1]] if found[1] not in extras.used else []
        parts = _empty(
            1.0,
            "millimetres",
            self.title,
            "FaceScape, Nanjing University: non-commercial, no redistribution",
            triangles,
        )
        origin, std = self._prior(raw, total, faces, triangles, extras, parts.notes)
        _tucker(parts, faces, origin[:kept], np.diag(std[:kept])[std[:kept] > 0], neutral=0)
        if kept < total:
            parts.notes.append(f"the first {kept} of its {total} identity components are kept")
        parts.notes.append("the names of its expressions aren't in the file: they are numbered in their order")
        if "texcoords" in raw and "ft_indices" in raw:
            table = _assemble.corners(raw["ft_indices"], 1)
            if len(table) == len(triangles):
                parts.uv = np.clip(np.asarray(raw["texcoords"], dtype=np.float64)[:, :2], 0, 1), table
        if "lm_list_v16" in raw and np.size(raw["lm_list_v16"]) == 68:
            marks = {k: int(v) for k, v in enumerate(np.ravel(raw["lm_list_v16"]))}
            parts.landmarks["ibug68"] = _assemble.on_vertices(triangles, marks, 68, _assemble.ibug_weights())
        return parts, files

    @staticmethod
    def _prior(raw, total, faces, triangles, extras, notes) -> tuple[np.ndarray, np.ndarray]:
        """Mean and std (K,) of the identity's factors: the file's, those of a table of people, or what they must be."""
        if "id_mean" in raw and "id_var" in raw:
            variance = np.asarray(raw["id_var"], dtype=np.float64)
            variance = np.diag(variance) if variance.ndim == 2 and variance.shape[0] == total else variance.ravel()
            return np.asarray(raw["id_mean"], dtype=np.float64).ravel(), np.sqrt(np.maximum(variance, 0))
        table = extras.take(lambda _, s: s.kind == "npy" and len(t := s.shapes.get("", ())) == 2 and total in t)
        if table is not None:
            people = np.asarray(read_arrays(table)[""], dtype=np.float64)
            people = people if people.shape[1] == total else people.T
            return people.mean(0), people.std(0)
        size = 1 / np.sqrt(FACESCAPE_PEOPLE)
        origin, std = np.eye(total)[0] * size, np.full(total, size)
        std[0] = 0.1 * size  # the first factor is nearly the same of all people
        if _assemble.outwardness(faces[0, 0], triangles) < 0:
            origin = -origin
        notes.append("the spread of its identity factors isn't in the file: it was taken from their being orthonormal")
        return origin, std


FACEWAREHOUSE, FACESCAPE = FaceWarehouseFormat(), FaceScapeFormat()
