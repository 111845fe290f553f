"""Heads with joints: FLAME's pickles, GNM's npz."""

from __future__ import annotations

import sys
import types
from contextlib import contextmanager
from pathlib import Path
from pickle import dumps

import numpy as np
import scipy.sparse

from benchmarks.model_files.head import Head
from benchmarks.model_files.written import Evaluation, Written


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
    places = np.array([[0, -90, -10], [0, -60, -20], [0, -20, 20], *head.centers]) / 1000
    if head.jaw is not None:
        front, places[2] = head.jaw[0], head.jaw[1] / 1000
        below = below * (1 - front)
    weights = np.stack([below * 0.6, below * 0.4 + (1 - below - front), front, below * 0, below * 0], 1)
    for k, eye in enumerate(head.eyes):
        weights[eye] = np.eye(5)[3 + k]
        shapes[300:, eye] = 0
    weights /= weights.sum(1, keepdims=True)
    regressor = np.zeros((5, count))
    for k, place in enumerate(places[:3]):
        near = np.argsort(((vertices - place) ** 2).sum(-1))[:6]
        regressor[k, near] = rng.dirichlet(np.ones(6))
    if head.jaw is not None:  # between the ears is nothing: from both sides
        regressor[2] = 0
        regressor[2, np.argsort(((vertices - places[2])[:, 1:] ** 2).sum(-1))[:8]] = 1 / 8
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
