"""Small files in the exact form of other people's face models, each with its evaluation as its authors wrote it.

The head in them is made up, so they may be written anywhere; the forms are those of the published files: names, shapes,
order of numbers, units, where indices begin, which way triangles go around. An evaluation uses the arrays as they went
into the file and numpy alone, never `facemodel`. `benchmarks.models` and the tests of the readers use them.
"""

from __future__ import annotations

import struct
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import dumps

import h5py
import numpy as np
import scipy.io
import scipy.sparse

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


Evaluation = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""identity (I,), expression (E,), joints (J,) radians, gaze (2, 2) -> vertices (V, 3) mm, as the authors' code does."""


@dataclass(frozen=True)
class Written:
    """A file or folder in a published form."""

    path: Path
    evaluate: Evaluation
    triangles: np.ndarray  # (T, 3) from 0, outwards
    extras: Sequence[Path] = ()
    counts: dict[str, int] = field(default_factory=dict)  # of coefficients, by block


def _linear(mean: np.ndarray, identity: np.ndarray, expression: np.ndarray, scale: float = 1.0) -> Evaluation:
    def evaluate(i, e, joints, gaze):
        return scale * (mean + np.tensordot(i, identity, 1) + np.tensordot(e, expression, 1))

    return evaluate


def _columns(basis: np.ndarray) -> np.ndarray:
    """(K, V, 3) -> (3 V, K)."""
    return basis.reshape(len(basis), -1).T


def _orthonormal(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (3 V, K) of a model whose components are these directions made orthonormal, and std (K,) as they were."""
    columns = np.linalg.qr(_columns(basis))[0]
    return columns, np.linalg.norm(_columns(basis), axis=0)


def _cut(columns: np.ndarray, std: np.ndarray) -> np.ndarray:
    return (columns * std).T.reshape(len(std), -1, 3)


@contextmanager
def stub_modules(**classes: str):
    """Empty classes in modules that aren't installed, for as long as something is pickled: name="module"."""
    made, old = {}, {}
    for name, module in classes.items():
        for part in (module.split(".")[0], module):
            if part not in made:
                old[part] = sys.modules.get(part)
                made[part] = sys.modules[part] = types.ModuleType(part)
        kind = type(name, (), {"__module__": module})
        setattr(made[module], name, kind)
    try:
        yield types.SimpleNamespace(**{n: getattr(made[m], n) for n, m in classes.items()})
    finally:
        for part, before in old.items():
            if before is None:
                del sys.modules[part]
            else:
                sys.modules[part] = before


# -- FLAME --------------------------------------------------------------------------------------------------------


def rodrigues(r: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(r)
    if angle < 1e-12:
        return np.eye(3)
    k = np.array([[0, -r[2], r[1]], [r[2], 0, -r[0]], [-r[1], r[0], 0]]) / angle
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def gaze_matrix(gaze: np.ndarray) -> np.ndarray:
    yaw, pitch = gaze
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])


def skin(rest, joints, rotations, parents, weights) -> np.ndarray:
    """Linear blend skinning by 4 x 4 matrices, as SMPL's and FLAME's code does it."""
    world = []
    for k, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = rotations[k]
        local[:3, 3] = joints[k] - (joints[parent] if k else 0)
        world.append(local if k == 0 else world[parent] @ local)
    for k in range(len(world)):
        world[k] = world[k].copy()
        world[k][:3, 3] -= world[k][:3, :3] @ joints[k]
    blended = np.einsum("vj,jab->vab", weights, np.array(world))
    return (blended[:, :3, :3] @ rest[:, :, None])[..., 0] + blended[:, :3, 3]


def flame_arrays(head: Head, seed: int = 1) -> dict[str, np.ndarray]:
    """FLAME's arrays, metres, of a made-up head: 300 + 100 components, five joints, correctives."""
    rng = np.random.default_rng(seed)
    vertices, count = head.vertices / 1000, len(head.vertices)
    shapes = np.concatenate([head.basis(300, 3.0, seed), head.basis(100, 1.5, seed + 1)]) / 1000
    below = 1 / (1 + np.exp(-(-60 - head.vertices[:, 1]) / 12))  # the neck's weight
    front = (1 - below) / (1 + np.exp((head.vertices[:, 1] + 30) / 10)) * (head.vertices[:, 2] > 0)
    weights = np.stack([below * 0.6, below * 0.4 + (1 - below - front), front, below * 0, below * 0], 1)
    for k, eye in enumerate(head.eyes):
        weights[eye] = np.eye(5)[3 + k]
        shapes[300:, eye] = 0
    weights /= weights.sum(1, keepdims=True)
    places = np.array([[0, -90, -10], [0, -60, -20], [0, -20, 20], *head.centers]) / 1000
    regressor = np.zeros((5, count))
    for k, place in enumerate(places[:3]):
        near = np.argsort(((vertices - place) ** 2).sum(-1))[:6]
        regressor[k, near] = rng.dirichlet(np.ones(6))
    for k, eye in enumerate(head.eyes):
        regressor[3 + k, eye] = 1 / len(eye)
    correctives = head.basis(36, 0.6, seed + 2, decay=1.0) / 1000
    return {
        "v_template": vertices, "f": head.triangles.astype(np.uint32), "shapedirs": np.moveaxis(shapes, 0, -1),
        "posedirs": np.moveaxis(correctives, 0, -1), "J_regressor": regressor, "J": regressor @ vertices,
        "weights": weights, "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.uint32),
    }  # fmt: skip


def flame_evaluation(a: dict[str, np.ndarray], lids: np.ndarray | None = None) -> Evaluation:
    """FLAME's forward, without global rotation. ``lids`` (L, V, 3) metres, added before skinning."""

    def evaluate(i, e, joints, gaze):
        moved = np.concatenate([i, e[:100]])
        shaped = a["v_template"] + a["shapedirs"] @ moved
        at = np.asarray(a["J_regressor"]) @ shaped
        turns = [np.eye(3), rodrigues(joints[:3]), rodrigues(joints[3:]), gaze_matrix(gaze[0]), gaze_matrix(gaze[1])]
        feature = np.concatenate([(r - np.eye(3)).ravel() for r in turns[1:]])
        rest = shaped + a["posedirs"] @ feature
        if lids is not None:
            rest = rest + np.tensordot(e[100:], lids, 1)
        return 1000 * skin(rest, at, turns, [-1, 0, 1, 1, 1], a["weights"])

    return evaluate


def write_flame(folder: Path, head: Head, chumpy: bool = True, lids: bool = False, protocol: int = 2) -> Written:
    """The pickle of 2017 to 2023, with chumpy's objects, or that of 2023 Open without; its eyelids if asked for."""
    arrays = flame_arrays(head)
    held: dict[str, object] = dict(arrays, bs_style="lbs", bs_type="lrotmin")
    held["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
    path = folder / ("flame.pkl" if chumpy else "flame_open.pkl")
    with stub_modules(Ch="chumpy.ch", Select="chumpy.reordering") as stubs:
        if chumpy:
            for name in ("v_template", "shapedirs", "posedirs", "J", "weights"):
                variable = stubs.Ch()
                variable.x = arrays[name]
                held[name] = variable
            picked = stubs.Select()
            picked.a, picked.idxs = held["v_template"], np.arange(arrays["v_template"].size)
            picked.preferred_shape = arrays["v_template"].shape
            held["v_template"] = picked
        path.write_bytes(dumps(held, protocol=protocol))
    offsets, extras = None, []
    if lids:
        offsets = np.zeros((2, *head.vertices.shape))
        for k, (center, name) in enumerate(zip(head.centers, ("l_eyelid", "r_eyelid"))):
            near = np.linalg.norm(head.vertices - center, axis=1) < 30
            near[np.concatenate(head.eyes)] = False
            offsets[k, near, 1] = -0.006
            extras.append(folder / f"{name}.npy")
            np.save(extras[-1], offsets[k])
    counts = {"identity": 300, "expression": 102 if lids else 100, "joints": 6}
    return Written(path, flame_evaluation(arrays, offsets), head.triangles, extras, counts)


# -- GNM ----------------------------------------------------------------------------------------------------------


def write_gnm(folder: Path, head: Head) -> Written:
    """All 23 arrays of version 3.0's npz, with 12 identities and 9 expressions, and correctives that aren't zero."""
    count = len(head.vertices)
    identity, expression = head.basis(12, 3.0, 5) / 1000, head.basis(9, 2.0, 6) / 1000
    for eye in head.eyes:
        expression[:, eye] = 0
    places = np.array([[0, -90, -10], [0, -40, -10], *head.centers]) / 1000
    joint_basis = np.random.default_rng(7).normal(size=(12, 4, 3)) / 2000
    weights = np.zeros((4, count))
    weights[0] = 1 / (1 + np.exp(-(-60 - head.vertices[:, 1]) / 12))
    weights[1] = 1 - weights[0]
    for k, eye in enumerate(head.eyes):
        weights[:, eye] = np.eye(4)[:, [2 + k]]
    correctives = head.basis(36, 0.5, 8, decay=1.0).reshape(36, -1) / 1000
    correctives[:9] = 0
    uv = np.random.default_rng(9).uniform(size=(count, 2))
    groups = np.zeros((2, count))
    groups[0, : count // 2] = 1
    groups[1, np.concatenate(head.eyes)] = 1
    parents = [0, 0, 1, 1]
    np.savez(
        folder / "gnm_head.npz",
        version="3.0", variant="head", template_vertex_positions=head.vertices / 1000, vertex_identity_basis=identity,
        expression_basis=expression, template_joint_positions=places, joint_identity_basis=joint_basis,
        identity_names=np.array([f"head_{k}" for k in range(12)]),
        expression_names=np.array([f"lower_face_region_{k}" for k in range(9)]),
        joint_names=np.array(["neck", "head", "left_eye", "right_eye"]), joint_parent_indices=np.array(parents),
        skinning_weights=weights, pose_correctives_regressor=correctives, joint_regressor=np.zeros((4, count)),
        triangles=head.triangles, quads=np.zeros((0, 4), int), triangle_uvs=uv[head.triangles],
        quad_uvs=np.zeros((0, 4, 2)), mesh_component_names=np.array(["head"]), mirror_indices=np.arange(count),
        vertex_groups=groups, vertex_group_names=np.array(["upper", "eyes"]),
        bone_aligned_template_joint_orientations=np.tile(np.eye(3), (4, 1, 1)),
    )  # fmt: skip

    def evaluate(i, e, joints, gaze):
        turns = [np.eye(3), rodrigues(joints), gaze_matrix(gaze[0]), gaze_matrix(gaze[1])]
        feature = np.concatenate([(r - np.eye(3)).ravel() for r in turns])
        rest = head.vertices / 1000 + np.tensordot(i, identity, 1) + np.tensordot(e, expression, 1)
        rest = rest + (feature @ correctives).reshape(-1, 3)
        at = places + np.tensordot(i, joint_basis, 1)
        return 1000 * skin(rest, at, turns, parents, weights.T)

    return Written(
        folder / "gnm_head.npz", evaluate, head.triangles, (), {"identity": 12, "expression": 9, "joints": 3}
    )


# -- Basel 2009 and its descendants -------------------------------------------------------------------------------


def write_bfm2009(folder: Path, head: Head) -> Written:
    """01_MorphableModel.mat: micrometres, std called EV, triangles from 1 and the other way around."""
    columns, std = _orthonormal(head.basis(6, 3000.0, 11))
    colors, spread = _orthonormal(head.basis(4, 8.0, 12))
    mean = head.vertices * 1000
    segments = np.eye(4)[np.arange(len(mean)) % 4]
    scipy.io.savemat(folder / "01_MorphableModel.mat", {
        "shapeMU": mean.reshape(-1, 1), "shapePC": columns, "shapeEV": std[:, None],
        "texMU": np.full((mean.size, 1), 120.0), "texPC": colors, "texEV": spread[:, None],
        "tl": head.triangles[:, [0, 2, 1]] + 1.0, "segbin": segments,
    })  # fmt: skip
    evaluate = _linear(mean, _cut(columns, std), np.zeros((0, *mean.shape)), 0.001)
    return Written(folder / "01_MorphableModel.mat", evaluate, head.triangles, (), {"identity": 6, "expression": 0})


def write_bfm_front(folder: Path, head: Head) -> Written:
    """BFM_model_front.mat: tenths of a metre, bases times std, everything counted from 1."""
    identity, expression = head.basis(80, 3.0, 13) / 100, head.basis(64, 2.0, 14) / 100
    mean = head.vertices / 100
    scipy.io.savemat(folder / "BFM_model_front.mat", {
        "meanshape": mean.reshape(1, -1), "meantex": np.full((1, mean.size), 130.0), "idBase": _columns(identity),
        "exBase": _columns(expression), "texBase": _columns(head.basis(80, 6.0, 15)), "tri": head.triangles + 1.0,
        "keypoints": head.marks[None] + 1.0, "skinmask": np.ones((1, len(mean))),
        "frontmask2_idx": np.arange(len(mean) // 2)[:, None] + 1.0,
    })  # fmt: skip
    evaluate = _linear(mean - mean.mean(0), identity, expression, 100.0)  # models/bfm.py recentres it
    counts = {"identity": 80, "expression": 64}
    return Written(folder / "BFM_model_front.mat", evaluate, head.triangles, (), counts)


def write_face3d(folder: Path, head: Head) -> Written:
    """face3d's BFM.mat: a structure, (3, T) triangles from 1, an expression mean that isn't zero."""
    shape, std = _orthonormal(head.basis(6, 3000.0, 16))
    move, spread = _orthonormal(head.basis(5, 2000.0, 17))
    mean, at_rest = head.vertices * 1000, head.basis(1, 900.0, 18)[0]
    model = {
        "shapeMU": mean.reshape(-1, 1), "shapePC": shape, "shapeEV": std[:, None], "expMU": at_rest.reshape(-1, 1),
        "expPC": move, "expEV": spread[:, None], "texMU": np.full((mean.size, 1), 100.0),
        "texPC": _columns(head.basis(3, 5.0, 19)), "texEV": np.ones((3, 1)),
        "tri": head.triangles[:, [0, 2, 1]].T + 1.0, "kpt_ind": head.marks[None] + 1.0,
    }  # fmt: skip
    scipy.io.savemat(folder / "BFM.mat", {"model": model})
    evaluate = _linear(mean + at_rest, _cut(shape, std), _cut(move, spread), 0.001)
    return Written(folder / "BFM.mat", evaluate, head.triangles, (), {"identity": 6, "expression": 5})


def write_3ddfa(folder: Path, head: Head, version: int = 2) -> Written:
    """3DDFA's sets: micrometres, coefficients in units of the basis, std apart; V2's triangles (3, T) from 0."""
    folder = folder / f"3ddfa_v{version}"
    folder.mkdir()
    shape, std = _orthonormal(head.basis(40, 3000.0, 21))
    move = _columns(head.basis(10, 2000.0, 22))
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


# -- statismo -----------------------------------------------------------------------------------------------------


BASEL_MARKS = {
    8: "center.chin.tip", 30: "center.nose.tip", 36: "right.eye.corner_outer", 39: "right.eye.corner_inner",
    42: "left.eye.corner_inner", 45: "left.eye.corner_outer", 48: "right.lips.corner", 54: "left.lips.corner",
}  # fmt: skip


def write_statismo(folder: Path, head: Head, minor: int = 9, legacy: bool = False) -> Written:
    """model2017-1_*.h5: variances, an expression mean, representer points that are another face's; 0.8's columns are
    times std already."""
    path = folder / f"model2017-1_0{minor}.h5"
    parts = {
        "shape": (head.vertices, *_orthonormal(head.basis(7, 3.0, 31))),
        "expression": (head.basis(1, 4.0, 32)[0], *_orthonormal(head.basis(5, 2.0, 33))),
        "color": (np.full(head.vertices.shape, 0.5), *_orthonormal(head.basis(4, 0.05, 34))),
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
    evaluate = _linear(mean + at_rest, _cut(shape, std), _cut(move, spread))
    return Written(path, evaluate, head.triangles, (), {"identity": 7, "expression": 5})


# -- eos ----------------------------------------------------------------------------------------------------------


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
    columns, std = _orthonormal(head.basis(8, 3.0, 41))
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
    evaluate = _linear(head.vertices, _cut(columns, std), np.stack(list(shapes.values())))
    return Written(path, evaluate, head.triangles, [*extras, table], {"identity": 8, "expression": 6})


# -- MATLAB's heads -----------------------------------------------------------------------------------------------


def write_lsfm(folder: Path, head: Head) -> Written:
    columns, std = _orthonormal(head.basis(9, 3.0, 51))
    scipy.io.savemat(folder / "all_all_all.mat", {
        "mean": head.vertices.reshape(-1, 1), "trilist": head.triangles, "components": columns,
        "eigenvalues": (std**2)[None], "n_training_samples": 9663,
    })  # fmt: skip
    evaluate = _linear(head.vertices, _cut(columns, std), np.zeros((0, *head.vertices.shape)))
    return Written(folder / "all_all_all.mat", evaluate, head.triangles, (), {"identity": 9, "expression": 0})


def write_lyhm(folder: Path, head: Head) -> Written:
    columns, std = _orthonormal(head.basis(9, 3.0, 52))
    colors, spread = _orthonormal(head.basis(3, 0.05, 53))
    scipy.io.savemat(folder / "LYHM_male.mat", {
        "tri": {"faces": head.triangles[:, [0, 2, 1]] + 1.0},
        "shp": {"mu": head.vertices.reshape(1, -1), "eigVec": columns, "eigVal": (std**2)[:, None]},
        "tex": {"mu": np.full((1, head.vertices.size), 0.6), "eigVec": colors, "eigVal": (spread**2)[:, None]},
    })  # fmt: skip
    evaluate = _linear(head.vertices, _cut(columns, std), np.zeros((0, *head.vertices.shape)))
    return Written(folder / "LYHM_male.mat", evaluate, head.triangles, (), {"identity": 9, "expression": 0})


# -- bilinear -----------------------------------------------------------------------------------------------------


def write_obj(path: Path, head: Head) -> Path:
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*v) for v in head.vertices]
    lines += ["f {} {} {}".format(*(t + 1)) for t in head.triangles]
    path.write_text("\n".join(lines) + "\n")
    return path


def people_faces(head: Head, people: int, expressions: int) -> np.ndarray:
    """(N, S, V, 3) mm: expressions that differ from person to person, the first at rest."""
    shapes, moves = head.basis(people, 4.0, 61, 1.0), head.basis(expressions, 3.0, 62, 1.0)
    own = np.random.default_rng(63).normal(1, 0.2, (people, expressions, 1, 1))
    moves[0] = 0
    return head.vertices + shapes[:, None] + own * moves


def write_facewarehouse(folder: Path, head: Head) -> Written:
    """Folders of twelve people, 46 absolute expressions each beside the neutral one, tenths of a metre."""
    folder = folder / "facewarehouse"
    faces = (people_faces(head, 12, 47) / 100).astype("<f4")
    for n, shapes in enumerate(faces):
        place = folder / f"Tester_{n + 1}" / "Blendshape"
        place.mkdir(parents=True)
        data = struct.pack("<iii", 46, len(head.vertices), len(head.triangles)) + shapes.tobytes()
        (place / "shape.bs").write_bytes(data)
    mesh = write_obj(folder.parent / "facewarehouse.obj", head)
    # The principal components of the people's faces, all expressions together.
    order = sorted(range(12), key=lambda n: len(f"Tester_{n + 1}"))  # as a folder lists them, by number
    wide = faces.astype(np.float64)[order].reshape(12, -1)
    left, values, right = np.linalg.svd(wide - wide.mean(0), full_matrices=False)

    def evaluate(i, e, joints, gaze):
        # The components' signs are nobody's business: a model's may be told by its own mesh of component k alone.
        coefficients = i * values[: len(i)] / np.sqrt(11)
        shapes = (wide.mean(0) + coefficients @ right[: len(i)]).reshape(47, -1, 3)
        blend = np.concatenate([[1 - e.sum()], e])
        return 100 * np.tensordot(blend, shapes, 1)

    return Written(folder, evaluate, head.triangles, [mesh], {"identity": 11, "expression": 46})


def write_facescape(folder: Path, head: Head, version: str = "1.6") -> Written:
    """facescape_bm_v1.6_847_50_52_id_front.npz: a core (3 V, 52, 50), quads from 1, pickled dictionaries beside; or the
    core alone of version 1.0, (52, 50, 3 V), and the people's factors."""
    faces = people_faces(head, 50, 52)
    people, values, right = np.linalg.svd(faces.reshape(50, -1), full_matrices=False)  # row n: person n's factors
    core = (values[:, None] * right).reshape(50, 52, -1).transpose(2, 1, 0)
    middle, variance = people.mean(0), people.var(0)
    if version == "1.6":
        path = folder / "facescape_bm_v1.6_847_50_52_id_front.npz"
        np.savez(
            path, shape_bm_core=core, fv_indices=head.triangles + 1, ft_indices=head.triangles + 1,
            texcoords=np.random.default_rng(65).uniform(size=(len(head.vertices), 2)), lm_list_v16=head.marks,
            id_mean=middle, id_var=variance, sym_dict=np.array({1: 2}, dtype=object), vert_num=len(head.vertices),
        )  # fmt: skip
        extras = []
    else:
        path = folder / "core_847_50_52.npy"
        np.save(path, core.transpose(1, 2, 0))
        extras = [write_obj(folder / "facescape.obj", head), folder / "factors_id_847_50_52.npy"]
        np.save(extras[1], people)

    def evaluate(i, e, joints, gaze):
        weights = middle + np.sqrt(variance) * i
        return (core @ weights @ np.concatenate([[1 - e.sum()], e])).reshape(-1, 3)

    return Written(path, evaluate, head.triangles, extras, {"identity": 50, "expression": 51})


WRITERS: dict[str, Callable[[Path, Head], Written]] = {
    "FLAME, chumpy": write_flame,
    "FLAME, open": lambda folder, head: write_flame(folder, head, chumpy=False, lids=True, protocol=5),
    "GNM": write_gnm,
    "BFM 2009": write_bfm2009,
    "BFM 2009 front": write_bfm_front,
    "face3d": write_face3d,
    "3DDFA": lambda folder, head: write_3ddfa(folder, head, 1),
    "3DDFA V2": lambda folder, head: write_3ddfa(folder, head, 2),
    "statismo 0.9": write_statismo,
    "statismo 0.8": lambda folder, head: write_statismo(folder, head, 8, legacy=True),
    "eos version 1": write_sfm,
    "eos version 4": lambda folder, head: write_sfm(folder, head, 4),
    "LSFM": write_lsfm,
    "LYHM": write_lyhm,
    "FaceWarehouse": write_facewarehouse,
    "FaceScape 1.6": write_facescape,
    "FaceScape 1.0": lambda folder, head: write_facescape(folder, head, "1.0"),
}
"""By the form's name; each writes into a folder of its own."""
