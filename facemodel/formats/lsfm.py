"""Two heads in MATLAB's form: the Large Scale Facial Model (Booth et al. 2016) and Liverpool-York's (Dai et al. 2019).

Millimetres, y up, z to the front; orthonormal columns with variances. LSFM counts triangles from 0, as menpo reads it;
LYHM from 1 and the other way around.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.formats import _assemble
from facemodel.formats._assemble import Parts
from facemodel.formats._containers import Summary, read_arrays
from facemodel.formats._foreign import Extras, ForeignFormat


def _std(variance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(np.asarray(variance, dtype=np.float64).ravel(), 0))


class LsfmFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "lsfm"
    title = "Large Scale Facial Model"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.kind in ("mat", "npz") and summary.has("mean", "components", "eigenvalues", "trilist")

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)
        mean = _assemble.points(raw["mean"])
        identity = _assemble.components(raw["components"], _std(raw["eigenvalues"]))
        terms = "LSFM, Imperial College London: by request, non-commercial"
        triangles = _assemble.corners(raw["trilist"], 0)
        return Parts.without_expressions(mean, triangles, identity, 1.0, "millimetres", self.title, terms), [path]


class LyhmFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "lyhm"
    title = "Liverpool-York Head Model"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.has("shp.mu", "shp.eigVec", "shp.eigVal", "tri.faces")

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)
        shape = raw["shp"]
        mean = _assemble.points(shape["mu"])
        identity = _assemble.components(shape["eigVec"], _std(shape["eigVal"]))
        terms = "LYHM, University of York: by request, non-commercial"
        triangles = _assemble.corners(raw["tri"]["faces"], 1, swap=True)
        parts = Parts.without_expressions(mean, triangles, identity, 1.0, "millimetres", self.title, terms)
        if "tex" in raw:
            color = raw["tex"]
            parts.albedo = _assemble.points(color["mu"]), _assemble.components(color["eigVec"], _std(color["eigVal"]))
        return parts, [path]


LSFM, LYHM = LsfmFormat(), LyhmFormat()
