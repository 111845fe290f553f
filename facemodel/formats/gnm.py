"""GNM Head (Google, 2026): an openly licensed statistical head with joints, teeth and tongue, as npz.

Metres, y up, z to the front; bases in standard deviations. The neck is the chain's root, which is the head's pose here;
the eyes' joints follow gaze, and the joint of the head is the one that is left.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.formats import _assemble
from facemodel.formats._assemble import Eyeballs, Parts
from facemodel.formats._containers import Summary, read_arrays
from facemodel.formats._content import is_corner_table
from facemodel.formats._foreign import Extras, ForeignFormat
from facemodel.jointed import Skeleton
from foundation.errors import PortraitError

KEYS = (
    "template_vertex_positions",
    "vertex_identity_basis",
    "expression_basis",
    "template_joint_positions",
    "joint_identity_basis",
    "expression_names",
    "joint_names",
    "joint_parent_indices",
    "skinning_weights",
    "triangles",
)
MORE = ("triangle_uvs", "pose_correctives_regressor", "vertex_groups", "vertex_group_names", "version")
LIMIT = 3.0  # standard deviations: what the authors call sane
IN_GROUP = 0.5  # weight of a vertex that belongs to a group
LAYERS = ("upper_teeth", "lower_teeth", "tongue", "mouth_inside")  # that share the unit square with the skin
SKIN = 0.8  # of the atlas' side
RENAMED = (
    ("left_eye_", "left_eye_region_"),
    ("right_eye_", "right_eye_region_"),
    ("mouth_", "lower_face_region_"),
    ("eyeballs_", "pupils_"),
)
REGIONS = {  # groups that others ask for by another name
    "irises": "iris", "pupils": "pupil", "mouth_sock": "mouth_inside", "upper_teeth_and_gums": "upper_teeth",
    "lower_teeth_and_gums": "lower_teeth",
}  # fmt: skip


class GnmFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "gnm"
    title = "GNM Head"
    extras = "landmarks, rows of vertex and share three times: head_sparse_68.txt, or 468 or 478 of MediaPipe's"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.kind == "npz" and summary.has(*KEYS)

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path, (*KEYS, *MORE))
        mean = _assemble.points(raw["template_vertex_positions"])
        identity = np.asarray(raw["vertex_identity_basis"], dtype=np.float64)
        expression = np.asarray(raw["expression_basis"], dtype=np.float64)
        names = tuple(_renamed(str(n)) for n in raw["expression_names"])
        joint_names = tuple(str(n) for n in raw["joint_names"])
        parents = tuple(int(p) for p in raw["joint_parent_indices"])
        if not all(0 <= p < k for k, p in enumerate(parents) if k) or len(parents) != len(joint_names):
            raise _assemble.refused(path, "its joints don't hang from each other in order")
        sides = tuple(joint_names.index(n) for n in ("left_eye", "right_eye"))
        skeleton = Skeleton(joint_names, (-1, *parents[1:]), sides)
        rest = np.asarray(raw["template_joint_positions"], dtype=np.float64)
        rest_basis = np.asarray(raw["joint_identity_basis"], dtype=np.float64)
        weights = np.asarray(raw["skinning_weights"], dtype=np.float64).T
        if weights.shape != (len(mean), len(joint_names)) or rest_basis.shape != (len(identity), *rest.shape):
            raise _assemble.refused(path, "its joints and weights don't belong to its vertices")
        joints = {
            "joint_mean": rest,
            "joint_identity_basis": rest_basis,
            "joint_expression_basis": np.zeros((len(expression), *rest.shape)),
            "skinning_weights": weights,
        }
        correctives = np.asarray(raw.get("pose_correctives_regressor", np.zeros((0, mean.size))), dtype=np.float64)
        if correctives.any():  # version 3.0's are all zero
            bent = correctives.reshape(len(joint_names), 9, *mean.shape)
            used = [k for k in range(1, len(joint_names)) if bent[k].any()]
            joints |= {"pose_correctives": bent[used].reshape(-1, *mean.shape), "corrective_joints": np.array(used)}
        balls = tuple(np.flatnonzero(weights[:, k] > IN_GROUP) for k in sides)
        if not all(len(b) for b in balls):
            raise _assemble.refused(path, "no vertices follow the joints of its eyes")
        eyes = Eyeballs.around(balls, rest[list(sides)], rest_basis[:, list(sides)], mean, identity)
        parts = Parts(
            mean,
            _assemble.corners(raw["triangles"], 0),
            identity,
            expression,
            _assemble.signed(names, LIMIT),
            1000.0,
            "metres, times 1000",
            self.title,
            "Apache-2.0, code and data",
            eyes=eyes,
            skeleton=skeleton,
            joints=joints,
        )
        groups = zip(raw.get("vertex_group_names", ()), raw.get("vertex_groups", ()))
        parts.regions = {REGIONS.get(str(n), str(n)): np.asarray(g).ravel() > IN_GROUP for n, g in groups}
        parts.regions["eyes"] = _assemble.mask(len(mean), np.concatenate(balls))
        if {"upper_teeth", "lower_teeth"} <= parts.regions.keys():
            parts.regions["teeth"] = parts.regions["upper_teeth"] | parts.regions["lower_teeth"]
        if {"mouth_inside", "gums"} <= parts.regions.keys():
            parts.regions["mouth_inside"] = parts.regions["mouth_inside"] | parts.regions["gums"]
        if "triangle_uvs" in raw:
            inside = parts.regions.get("eye_interiors", np.zeros(len(mean), dtype=bool))
            layers = [_assemble.mask(len(mean), ball) & part for ball in balls for part in (inside, ~inside)]
            layers += [parts.regions[n] for n in LAYERS if n in parts.regions]
            parts.uv = _side_by_side(np.asarray(raw["triangle_uvs"], dtype=np.float64), parts.triangles, layers)
            parts.notes.append("its texture's regions, which lie over each other, lie side by side in one atlas")
        while self._landmarks(parts, extras):
            pass
        return parts, [path]

    @staticmethod
    def _landmarks(parts: Parts, extras: Extras) -> bool:
        path = extras.take(is_corner_table)
        if path is None:
            return False
        table = np.loadtxt(path, ndmin=2)
        corners, shares = table[:, ::2].astype(np.int64), table[:, 1::2]
        if corners.min() < 0 or corners.max() >= len(parts.mean):
            raise PortraitError(
                f"extra file '{path}': landmarks of another topology (they reach vertex {corners.max()}, the model has "
                f"{len(parts.mean)}); give this model's own"
            )
        if len(table) == 68:
            # The jaw's aren't in iBUG's order in the published table: that goes from the subject's right to the left.
            across = (parts.mean[corners[:17], 0] * shares[:17]).sum(-1)
            order = np.concatenate([np.argsort(across), np.arange(17, 68)])
            corners, shares = corners[order], shares[order]
        at, bary = _assemble.on_triangles(parts.triangles, corners, shares)
        if len(table) == 68:
            parts.landmarks["ibug68"] = at, bary, _assemble.ibug_weights()
        else:
            beyond = np.zeros(478 - len(at), np.int64)
            weights = np.r_[np.full(len(at), _assemble.PRIOR.landmark), 0.0 * beyond]
            bary = np.concatenate([bary, np.full((len(beyond), 3), 1 / 3)])
            parts.landmarks["mediapipe478"] = np.r_[at, beyond], bary, weights
        return True


def _side_by_side(
    corners: np.ndarray, triangles: np.ndarray, layers: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """One atlas of coordinates (T, 3, 2) whose regions share the unit square: skin, and each layer (V,) apart."""
    places = np.tile([0.0, 1 - SKIN, SKIN], (len(triangles), 1))
    cell = 1 - SKIN
    row = [(k * cell, 0.0) for k in range(round(1 / cell))] + [(SKIN, k * cell) for k in range(1, round(1 / cell))]
    for (left, bottom), layer in zip(row, layers):
        places[layer[triangles].all(-1)] = left, bottom, cell
    local = corners - np.floor(corners.mean(1, keepdims=True))
    flat = (local * places[:, None, 2:] + places[:, None, :2]).reshape(-1, 2)
    uv, index = np.unique(np.round(flat, 7), axis=0, return_inverse=True)
    return np.clip(uv, 0, 1), index.reshape(-1, 3)


def _renamed(name: str) -> str:
    """The name of version 3.0; earlier files say some otherwise."""
    return next(
        (new + name[len(old) :] for old, new in RENAMED if name.startswith(old) and not name.startswith(new)), name
    )


READER = GnmFormat()
