"""Two heads in MATLAB's form: LSFM and LYHM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from benchmarks.model_files.head import Head
from benchmarks.model_files.written import Written, cut, linear, orthonormal


def write_lsfm(folder: Path, head: Head) -> Written:
    columns, std = orthonormal(head.basis(9, 3.0, 51))
    scipy.io.savemat(folder / "all_all_all.mat", {
        "mean": head.vertices.reshape(-1, 1), "trilist": head.triangles, "components": columns,
        "eigenvalues": (std**2)[None], "n_training_samples": 9663,
    })  # fmt: skip
    evaluate = linear(head.vertices, cut(columns, std), np.zeros((0, *head.vertices.shape)))
    return Written(folder / "all_all_all.mat", evaluate, head.triangles, (), {"identity": 9, "expression": 0})


def write_lyhm(folder: Path, head: Head) -> Written:
    columns, std = orthonormal(head.basis(9, 3.0, 52))
    colors, spread = orthonormal(head.basis(3, 0.05, 53))
    scipy.io.savemat(folder / "LYHM_male.mat", {
        "tri": {"faces": head.triangles[:, [0, 2, 1]] + 1.0},
        "shp": {"mu": head.vertices.reshape(1, -1), "eigVec": columns, "eigVal": (std**2)[:, None]},
        "tex": {"mu": np.full((1, head.vertices.size), 0.6), "eigVec": colors, "eigVal": (spread**2)[:, None]},
    })  # fmt: skip
    evaluate = linear(head.vertices, cut(columns, std), np.zeros((0, *head.vertices.shape)))
    return Written(folder / "LYHM_male.mat", evaluate, head.triangles, (), {"identity": 9, "expression": 0})
