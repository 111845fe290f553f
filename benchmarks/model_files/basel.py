"""The Basel Face Model of 2009, what descends from it, and statismo's files of later ones."""

from __future__ import annotations

from pathlib import Path
from pickle import dumps

import h5py
import numpy as np
import scipy.io

from benchmarks.model_files.head import Head
from benchmarks.model_files.written import Written, columns_of, cut, linear, orthonormal


def write_bfm2009(folder: Path, head: Head) -> Written:
    """01_MorphableModel.mat: micrometres, std called EV, triangles from 1 and the other way around."""
    columns, std = orthonormal(head.basis(6, 3000.0, 11))
    colors, spread = orthonormal(head.basis(4, 8.0, 12))
    mean = head.vertices * 1000
    segments = np.eye(4)[np.arange(len(mean)) % 4]
    scipy.io.savemat(folder / "01_MorphableModel.mat", {
        "shapeMU": mean.reshape(-1, 1), "shapePC": columns, "shapeEV": std[:, None],
        "texMU": np.full((mean.size, 1), 120.0), "texPC": colors, "texEV": spread[:, None],
        "tl": head.triangles[:, [0, 2, 1]] + 1.0, "segbin": segments,
    })  # fmt: skip
    evaluate = linear(mean, cut(columns, std), np.zeros((0, *mean.shape)), 0.001)
    return Written(folder / "01_MorphableModel.mat", evaluate, head.triangles, (), {"identity": 6, "expression": 0})


def write_bfm_front(folder: Path, head: Head) -> Written:
    """BFM_model_front.mat: tenths of a metre, bases times std, everything counted from 1."""
    identity, expression = head.basis(80, 3.0, 13) / 100, head.basis(64, 2.0, 14) / 100
    mean = head.vertices / 100
    scipy.io.savemat(folder / "BFM_model_front.mat", {
        "meanshape": mean.reshape(1, -1), "meantex": np.full((1, mean.size), 130.0), "idBase": columns_of(identity),
        "exBase": columns_of(expression), "texBase": columns_of(head.basis(80, 6.0, 15)), "tri": head.triangles + 1.0,
        "keypoints": head.marks[None] + 1.0, "skinmask": np.ones((1, len(mean))),
        "frontmask2_idx": np.arange(len(mean) // 2)[:, None] + 1.0,
    })  # fmt: skip
    evaluate = linear(mean - mean.mean(0), identity, expression, 100.0)  # models/bfm.py recentres it
    counts = {"identity": 80, "expression": 64}
    return Written(folder / "BFM_model_front.mat", evaluate, head.triangles, (), counts)


def write_face3d(folder: Path, head: Head) -> Written:
    """face3d's BFM.mat: a structure, (3, T) triangles from 1, an expression mean that isn't zero."""
    shape, std = orthonormal(head.basis(6, 3000.0, 16))
    move, spread = orthonormal(head.basis(5, 2000.0, 17))
    mean, at_rest = head.vertices * 1000, head.basis(1, 900.0, 18)[0]
    model = {
        "shapeMU": mean.reshape(-1, 1), "shapePC": shape, "shapeEV": std[:, None], "expMU": at_rest.reshape(-1, 1),
        "expPC": move, "expEV": spread[:, None], "texMU": np.full((mean.size, 1), 100.0),
        "texPC": columns_of(head.basis(3, 5.0, 19)), "texEV": np.ones((3, 1)),
        "tri": head.triangles[:, [0, 2, 1]].T + 1.0, "kpt_ind": head.marks[None] + 1.0,
    }  # fmt: skip
    scipy.io.savemat(folder / "BFM.mat", {"model": model})
    evaluate = linear(mean + at_rest, cut(shape, std), cut(move, spread), 0.001)
    return Written(folder / "BFM.mat", evaluate, head.triangles, (), {"identity": 6, "expression": 5})


def write_3ddfa(folder: Path, head: Head, version: int = 2) -> Written:
    """3DDFA's sets: micrometres, coefficients in units of the basis, std apart; V2's triangles (3, T) from 0."""
    folder = folder / f"3ddfa_v{version}"
    folder.mkdir()
    shape, std = orthonormal(head.basis(40, 3000.0, 21))
    move = columns_of(head.basis(10, 2000.0, 22))
    mean, at_rest = head.vertices * 1000, head.basis(1, 900.0, 23)[0]
    middle = np.concatenate([np.zeros(12), 0.3 * std, np.full(10, 0.2)])
    spread = np.concatenate([np.ones(12), std, np.linspace(1.5, 0.2, 10)])
    keypoints = (3 * head.marks[:, None] + np.arange(3)).ravel()
    table = head.triangles[:, [0, 2, 1]].T
    if version == 1:
        for name, value in (("u_shp", mean.reshape(-1, 1)), ("u_exp", at_rest.reshape(-1, 1)), ("w_shp_sim", shape),
                            ("w_exp_sim", move), ("keypoints_sim", keypoints)):  # fmt: skip
            np.save(folder / f"{name}.npy", value)
        whitening = {"param_mean": middle.astype(np.float32), "param_std": spread.astype(np.float32)}
        (folder / "param_whitening.pkl").write_bytes(dumps(whitening, protocol=2))
        scipy.io.savemat(folder / "tri.mat", {"tri": table + 1.0})
    else:
        model = {"u": (mean + at_rest).reshape(-1, 1), "w_shp": shape, "w_exp": move, "keypoints": keypoints}
        (folder / "bfm_noneck_v3.pkl").write_bytes(dumps(model, protocol=4))
        (folder / "tri.pkl").write_bytes(dumps(table.astype(np.int32), protocol=4))
        known = {"mean": middle.astype(np.float32), "std": spread.astype(np.float32)}
        (folder / "param_mean_std_62d_120x120.pkl").write_bytes(dumps(known, protocol=3))
    middle, spread = middle.astype(np.float32), spread.astype(np.float32)

    def evaluate(i, e, joints, gaze):
        flat = (mean + at_rest).ravel() + shape @ (middle[12:52] + spread[12:52] * i) + move @ (spread[52:] * e)
        return 0.001 * flat.reshape(-1, 3)

    return Written(folder, evaluate, head.triangles, (), {"identity": 40, "expression": 10})


BASEL_MARKS = {
    8: "center.chin.tip", 30: "center.nose.tip", 36: "right.eye.corner_outer", 39: "right.eye.corner_inner",
    42: "left.eye.corner_inner", 45: "left.eye.corner_outer", 48: "right.lips.corner", 54: "left.lips.corner",
}  # fmt: skip


def write_statismo(folder: Path, head: Head, minor: int = 9, legacy: bool = False) -> Written:
    """model2017-1_*.h5: variances, an expression mean, representer points that are another face's; 0.8's columns are
    times std already."""
    path = folder / f"model2017-1_0{minor}.h5"
    parts = {
        "shape": (head.vertices, *orthonormal(head.basis(7, 3.0, 31))),
        "expression": (head.basis(1, 4.0, 32)[0], *orthonormal(head.basis(5, 2.0, 33))),
        "color": (np.full(head.vertices.shape, 0.5), *orthonormal(head.basis(4, 0.05, 34))),
    }
    with h5py.File(path, "w") as file:
        file["version/majorVersion"], file["version/minorVersion"] = np.int32(0), np.int32(minor)
        for name, (mean, columns, std) in parts.items():
            file[f"{name}/model/mean"] = mean.ravel().astype(np.float32)
            file[f"{name}/model/pcaBasis"] = (columns * std if minor < 9 else columns).astype(np.float32)
            file[f"{name}/model/pcaVariance"] = (std**2).astype(np.float32)
            file[f"{name}/model/noiseVariance"] = np.zeros(1, np.float32)
            about = file.create_group(f"{name}/representer")
            if legacy:
                about["reference-mesh/vertex-coordinates"] = 2 * head.vertices.T.astype(np.float32)
                about["reference-mesh/triangle-list"] = head.triangles.T.astype(np.int32)
            else:
                about["points"] = 2 * head.vertices.T.astype(np.float32)
                about["cells"] = head.triangles.T.astype(np.uint32)
        rows = [f"{n} 1 {' '.join(str(x) for x in head.vertices[head.marks[k]])}" for k, n in BASEL_MARKS.items()]
        file["metadata/landmarks/text"] = np.bytes_("\n".join(rows))
    (mean, shape, std), (at_rest, move, spread), _ = parts.values()
    evaluate = linear(mean + at_rest, cut(shape, std), cut(move, spread))
    return Written(path, evaluate, head.triangles, (), {"identity": 7, "expression": 5})
