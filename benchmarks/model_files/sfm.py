"""eos' binary files of the Surrey Face Model."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from benchmarks.model_files.head import Head
from benchmarks.model_files.written import Written, cut, linear, orthonormal


def _eigen(matrix: np.ndarray) -> bytes:
    matrix = np.atleast_2d(matrix).astype("<f4")
    return struct.pack("<ii", *matrix.shape) + matrix.T.tobytes()


def _eos_pca(mean: np.ndarray, columns: np.ndarray, std: np.ndarray, triangles: np.ndarray) -> bytes:
    head = _eigen(mean.reshape(-1, 1)) + _eigen(columns) + _eigen((std**2).reshape(-1, 1))
    return head + struct.pack("<Q", len(triangles)) + triangles.astype("<i4").tobytes()


EMPTY_PCA = struct.pack("<iiiiii", 0, 1, 0, 0, 0, 1) + struct.pack("<Q", 0)


def blendshape_bytes(shapes: dict[str, np.ndarray]) -> bytes:
    """eos' expressions: how many, then name and column of offsets."""
    rows = [struct.pack("<Q", len(n)) + n.encode() + _eigen(s.reshape(-1, 1)) for n, s in shapes.items()]
    return struct.pack("<Q", len(rows)) + b"".join(rows)


def write_sfm(folder: Path, head: Head, version: int = 1) -> Written:
    """sfm_shape_3448.bin with its expressions apart (version 1) or within (later), texture coordinates with v down."""
    columns, std = orthonormal(head.basis(8, 3.0, 41))
    names = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    shapes = dict(zip(names, head.basis(6, 4.0, 42)))
    uv = np.random.default_rng(43).uniform(size=(len(head.vertices), 2))
    data = struct.pack("<I", version) + _eos_pca(head.vertices, columns, std, head.triangles) + EMPTY_PCA
    extras = []
    if version == 1:
        extras.append(folder / "expression_blendshapes.bin")
        extras[0].write_bytes(blendshape_bytes(shapes))
    else:
        data += struct.pack("<Bi", 0, 1) + blendshape_bytes(shapes)
    data += struct.pack("<Q", len(uv)) + uv.astype("<f8").tobytes()
    if version >= 3:
        data += b"\x01"
    if version >= 4:
        data += struct.pack("<Q", len(head.triangles)) + head.triangles.astype("<i4").tobytes()
    path = folder / f"sfm_v{version}.bin"
    path.write_bytes(data)
    table = folder / "ibug_to_sfm.txt"
    rows = "\n".join(f"{k + 1} = {v}" for k, v in enumerate(head.marks))
    table.write_text(f"[landmark_mappings]\n{rows}\n")
    evaluate = linear(head.vertices, cut(columns, std), np.stack(list(shapes.values())))
    return Written(path, evaluate, head.triangles, [*extras, table], {"identity": 8, "expression": 6})
