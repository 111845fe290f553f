"""statismo's HDF5: the Basel Face Models of 2017 and 2019, and others that scalismo writes.

Millimetres unless the file says otherwise, y up, z to the front, triangles from 0. Orthonormal columns with variances;
up to version 0.8 the columns are times std already. The expressions have a mean of their own, which scalismo adds.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from facemodel.formats import _assemble
from facemodel.formats._assemble import Parts
from facemodel.formats._containers import Summary, read_arrays
from facemodel.formats._foreign import Extras, ForeignFormat

LANDMARKS = {  # the names of Basel's landmarks -> iBUG's 68
    "center.chin.tip": 8, "center.nose.tip": 30, "right.eye.corner_outer": 36, "right.eye.corner_inner": 39,
    "left.eye.corner_inner": 42, "left.eye.corner_outer": 45, "right.lips.corner": 48, "center.lips.upper.outer": 51,
    "left.lips.corner": 54, "center.lips.lower.outer": 57, "center.lips.upper.inner": 62, "center.lips.lower.inner": 66,
}  # fmt: skip
LICENSE = (
    "as the file's owners say; Basel Face Models 2017 and 2019: signed agreement, non-commercial, no redistribution"
)


class StatismoFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "statismo"
    title = "Basel Face Model 2017/2019 (statismo)"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.kind == "hdf5" and summary.has("shape/model/mean", "shape/model/pcaBasis")

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)
        mean = _assemble.points(raw["shape/model/mean"])  # the representer's points are another face's
        notes = []
        expression, block = np.zeros((0, len(mean), 3)), _assemble.signed(())
        if "expression/model/mean" in raw:
            mean = mean + _assemble.points(raw["expression/model/mean"])
            expression = _basis(raw, "expression")
            block = _assemble.signed(_assemble.numbered(len(expression)))
            notes.append("the expressions' own mean is part of the mean, as scalismo has it")
        else:
            notes.append("it has no expressions")
        scale = float(np.ravel(raw.get("shape/representer/length-unit", 0.001))[0]) * 1000
        parts = Parts(
            mean,
            _triangles(raw, path),
            _basis(raw, "shape"),
            expression,
            block,
            scale,
            "millimetres" if abs(scale - 1) < 1e-6 else f"times {scale:g}",
            self.title,
            LICENSE,
            notes=notes,
        )
        if "color/model/mean" in raw:
            parts.albedo = _assemble.points(raw["color/model/mean"]), _basis(raw, "color")
        marks = {LANDMARKS[n]: at for n, at in _landmarks(raw).items() if n in LANDMARKS}
        if marks:
            only = _assemble.points(raw["shape/model/mean"])
            nearest = {k: int(((only - at) ** 2).sum(-1).argmin()) for k, at in marks.items()}
            parts.landmarks["ibug68"] = _assemble.on_vertices(parts.triangles, nearest, 68, _assemble.ibug_weights())
            notes.append(f"{len(marks)} of iBUG's 68 landmarks are in the file")
        return parts, [path]


def _basis(raw: dict, part: str) -> np.ndarray:
    """(K, V, 3) a standard deviation."""
    basis = np.asarray(raw[f"{part}/model/pcaBasis"], dtype=np.float64)
    variance = np.asarray(raw[f"{part}/model/pcaVariance"], dtype=np.float64).ravel()
    version = [int(np.ravel(raw.get(f"version/{n}Version", d))[0]) for n, d in (("major", 0), ("minor", 9))]
    return _assemble.components(basis, 1.0 if version < [0, 9] else np.sqrt(np.maximum(variance, 0)))


def _triangles(raw: dict, path: Path) -> np.ndarray:
    for name in ("shape/representer/cells", "shape/representer/reference-mesh/triangle-list"):
        if name in raw:
            table = np.asarray(raw[name])
            return _assemble.corners(table if table.shape[0] != 3 else table.T, 0)
    raise _assemble.refused(path, "its representer has no triangles")


def _landmarks(raw: dict) -> dict[str, np.ndarray]:
    """Where the named landmarks are, the file's unit."""
    found = {}
    for kind in ("json", "text"):
        value = raw.get(f"metadata/landmarks/{kind}")
        if value is None:
            continue
        value = np.ravel(value)[0]
        text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
        if kind == "json":
            found |= {str(m["id"]): np.array(m["coordinates"], dtype=np.float64) for m in json.loads(text)}
        else:
            rows = [line.split() for line in text.splitlines()]
            found |= {r[0]: np.array(r[2:5], dtype=np.float64) for r in rows if len(r) >= 5 and r[1] == "1"}
    return found


READER = StatismoFormat()
