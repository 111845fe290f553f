"""FLAME (Li et al. 2017; releases of 2017, 2020, 2023): a head of 5,023 vertices with neck, jaw and eyes.

The pickle as it is published, of any generation, with chumpy's objects or without, or its arrays as npz. What lies
apart from it comes as extra files: landmark embeddings, region masks, the template with texture coordinates, eyelids,
texture. Lengths there are metres, y up, z to the front; bases are already in standard deviations. The root's rotation
is the head's pose here; eyes follow gaze.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.base import Block
from facemodel.formats import _assemble
from facemodel.formats._assemble import Eyeballs, Parts
from facemodel.formats._containers import Summary, read_arrays, read_obj
from facemodel.formats._content import EMBEDDINGS, OLD_NAMES, is_embedding, is_masks, is_texture, joint_count, skinned
from facemodel.formats._foreign import Extras, ForeignFormat
from facemodel.jointed import Skeleton
from foundation.errors import PortraitError

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
IDENTITY = 300  # of 400 shape components; the rest are expressions
EYE_WEIGHT = 0.5  # of a vertex that belongs to an eyeball
LICENSE = (
    "FLAME, Max Planck Institute for Intelligent Systems: non-commercial research, no redistribution; "
    "FLAME 2023 Open: CC-BY-4.0 with restrictions of use. The file doesn't say which it is"
)
REGIONS = {  # of FLAME_masks.pkl -> the names that others ask for
    "face": "face", "neck": "neck", "scalp": "scalp", "lips": "lips", "nose": "nose", "forehead": "forehead",
    "eye_region": "eye_region", "boundary": "boundary",
}  # fmt: skip


class FlameFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "flame"
    title = "FLAME"
    extras = "landmark embedding (npy, npz, pkl), FLAME_masks.pkl, template with UV (obj), eyelids (npy), texture (npz)"

    def knows(self, path: Path, summary: Summary) -> bool:
        return skinned(summary) and joint_count(summary) == len(JOINTS)

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        raw = read_arrays(path)
        for name, old in OLD_NAMES.items():
            if name not in raw:
                raw[name] = next(raw[n] for n in old if n in raw)
        mean = np.asarray(raw["v_template"], dtype=np.float64)
        triangles = _assemble.corners(raw["f"], 0)
        shapes = np.moveaxis(np.asarray(raw["shapedirs"], dtype=np.float64), -1, 0)  # (400, V, 3)
        if len(shapes) != 400:
            raise _assemble.refused(path, f"it has {len(shapes)} shape components, expected 300 + 100")
        identity, expression = shapes[:IDENTITY], shapes[IDENTITY:]
        regressor = raw["J_regressor"]
        regressor = np.asarray(regressor.todense() if hasattr(regressor, "todense") else regressor, dtype=np.float64)
        parents = [int(p) for p in np.asarray(raw["kintree_table"])[0].astype(np.int64)]
        if not all(0 <= p < k for k, p in enumerate(parents) if k):
            raise _assemble.refused(path, "its joints don't hang from each other in order")
        skeleton = Skeleton(JOINTS, (-1, *parents[1:]), (3, 4))
        weights = np.asarray(raw["weights"], dtype=np.float64)
        posed = np.asarray(raw["posedirs"], dtype=np.float64)
        if posed.shape != (*mean.shape, 36) or weights.shape != (len(mean), 5) or regressor.shape != (5, len(mean)):
            raise _assemble.refused(path, "its joints, weights and correctives don't belong to its vertices")
        joints = {
            "joint_mean": regressor @ mean,
            "joint_identity_basis": np.einsum("jv,kva->kja", regressor, identity),
            "joint_expression_basis": np.einsum("jv,kva->kja", regressor, expression),
            "skinning_weights": weights,
            "pose_correctives": np.moveaxis(posed, -1, 0),
            "corrective_joints": np.arange(1, 5),
        }
        balls = tuple(np.flatnonzero(weights[:, k] > EYE_WEIGHT) for k in (3, 4))
        if not all(len(b) for b in balls):
            raise _assemble.refused(path, "no vertices follow the joints of its eyes")
        eyes = Eyeballs.around(balls, joints["joint_mean"][3:], joints["joint_identity_basis"][:, 3:], mean, identity)
        block = _assemble.signed(_assemble.numbered(len(expression)))
        parts = Parts(
            mean,
            triangles,
            identity,
            expression,
            block,
            1000.0,
            "metres, times 1000",
            self.title,
            LICENSE,
            eyes=eyes,
            skeleton=skeleton,
            joints=joints,
            notes=["which generation it is can't be read from the file: 2020's and 2023's coefficients don't agree"],
        )
        _regions(parts, extras)
        _lids(parts, extras)
        _texture_coordinates(parts, extras)
        _colors(parts, extras)
        while _landmarks(parts, extras):
            pass
        return parts, [path]


def _regions(parts: Parts, extras: Extras) -> None:
    count = len(parts.mean)
    parts.regions = {"eyes": _assemble.mask(count, np.concatenate(parts.eyes.vertices))}
    path = extras.take(lambda _, summary: is_masks(summary))
    if path is None:
        return
    found = {k: np.asarray(v).ravel().astype(np.int64) for k, v in read_arrays(path).items()}
    if any(v.size and (v.min() < 0 or v.max() >= count) for v in found.values()):
        raise PortraitError(
            f"extra file '{path}': masks of another topology (they reach vertex "
            f"{max(v.max() for v in found.values())}, "
            f"the model has {count}); give the FLAME_masks.pkl of this model"
        )
    parts.regions |= {name: _assemble.mask(count, found[key]) for key, name in REGIONS.items() if key in found}
    if {"left_ear", "right_ear"} <= found.keys():
        parts.regions["ears"] = _assemble.mask(count, np.concatenate([found["left_ear"], found["right_ear"]]))
    parts.regions["skin"] = ~parts.regions["eyes"]


def _lids(parts: Parts, extras: Extras) -> None:
    """The eyelids of metrical-tracker and SMIRK, as two expressions from 0 to 1 by ARKit's names."""
    shape, lids = parts.mean.shape, {}
    while path := extras.take(lambda _, summary: summary.kind == "npy" and summary.shapes.get("") == shape):
        offsets = np.asarray(read_arrays(path)[""], dtype=np.float64)
        moves = np.linalg.norm(offsets, axis=-1)
        if not np.isfinite(moves).all() or not moves.any():
            raise PortraitError(f"extra file '{path}': it moves no eyelid; give l_eyelid.npy, r_eyelid.npy")
        side = float((moves * parts.mean[:, 0]).sum())
        lids["eyeBlinkLeft" if side > 0 else "eyeBlinkRight"] = offsets
    if not lids:
        parts.notes.append("it has no eyelids that close of its own: l_eyelid.npy and r_eyelid.npy are extra files")
        return
    parts.expression = np.concatenate([parts.expression, np.stack(list(lids.values()))])
    parts.block = _assemble.joined(parts.block, Block.activations(tuple(lids)))
    nothing = np.zeros((len(lids), len(JOINTS), 3))
    basis = parts.joints["joint_expression_basis"]
    parts.joints["joint_expression_basis"] = np.concatenate([basis, nothing])
    parts.notes.append("eyelids are added before skinning, so that they turn with the head; trackers add them after")


def _texture_coordinates(parts: Parts, extras: Extras) -> None:
    path = extras.take(lambda _, summary: summary.kind == "obj")
    if path is None:
        return
    mesh = read_obj(path)
    if mesh.uv is None:
        raise PortraitError(f"extra file '{path}': it has no texture coordinates; give head_template.obj")
    parts.uv = mesh.uv, matched(path, mesh.triangles, mesh.uv_triangles, parts.triangles, len(mesh.vertices))


def matched(path: Path, theirs: np.ndarray, uv: np.ndarray, ours: np.ndarray, count: int) -> np.ndarray:
    """Texture triangles (T, 3) in the order of our triangles, of a mesh of the same triangles in any order."""
    if count != int(ours.max()) + 1 and count <= int(ours.max()):
        raise PortraitError(f"extra file '{path}': a mesh of another topology ({count} vertices)")
    if len(theirs) == len(ours) and (theirs == ours).all():
        return uv
    rolled = {}
    for t, u in zip(theirs.tolist(), uv.tolist()):
        k = t.index(min(t))
        rolled[tuple(t[k:] + t[:k])] = u[k:] + u[:k]
    table = []
    for t in ours.tolist():
        k = t.index(min(t))
        key = tuple(t[k:] + t[:k])
        u = rolled.get(key)
        if u is None:
            raise PortraitError(
                f"extra file '{path}': a mesh of another topology (it has no triangle {t}); give the head_template.obj "
                "of this model"
            )
        table.append(u[3 - k :] + u[: 3 - k] if k else u)
    return np.array(table)


def _colors(parts: Parts, extras: Extras) -> None:
    """FLAME's texture spaces, MPI's and that made of BFM's, at the vertices: both are kept as BGR."""
    path = extras.take(lambda _, summary: is_texture(summary))
    if path is None:
        return
    raw = read_arrays(path, ("mean", "tex_dir", "MU", "PC", "vt", "ft"))
    mean, basis = (raw["mean"], raw["tex_dir"]) if "mean" in raw else (raw["MU"], raw["PC"])
    side = round((np.size(mean) / 3) ** 0.5)
    mean = np.asarray(mean, dtype=np.float64).reshape(side, side, 3)[..., ::-1]
    basis = np.asarray(basis).reshape(side, side, 3, -1)[:, :, ::-1]
    if "vt" in raw and "ft" in raw:
        uv, uv_triangles = np.asarray(raw["vt"], dtype=np.float64), _assemble.corners(raw["ft"], 0)
        if len(uv_triangles) != len(parts.triangles):
            raise PortraitError(f"extra file '{path}': a texture of another topology ({len(uv_triangles)} triangles)")
        parts.uv = parts.uv or (uv, uv_triangles)
    elif parts.uv is not None:
        uv, uv_triangles = parts.uv
    else:
        raise PortraitError(f"extra file '{path}': a texture without coordinates; give head_template.obj, too")
    full = 255.0 if mean.max() > 1.5 else 1.0
    at = np.zeros((len(parts.mean), 2))
    at[parts.triangles.ravel()] = uv[uv_triangles.ravel()]
    x, y = at[:, 0] * (side - 1), (1 - at[:, 1]) * (side - 1)  # rows go down, v goes up
    x0, y0 = (np.clip(np.floor(p).astype(int), 0, side - 2) for p in (x, y))
    fx, fy = np.clip(x - x0, 0, 1), np.clip(y - y0, 0, 1)
    corners = (
        (y0, x0, (1 - fx) * (1 - fy)),
        (y0, x0 + 1, fx * (1 - fy)),
        (y0 + 1, x0, (1 - fx) * fy),
        (y0 + 1, x0 + 1, fx * fy),
    )
    color = sum(mean[r, c] * w[:, None] for r, c, w in corners) / full
    spread = sum(basis[r, c] * w[:, None, None] for r, c, w in corners) / full  # (V, 3, A)
    parts.albedo = color, np.moveaxis(spread, -1, 0)


def _landmarks(parts: Parts, extras: Extras) -> bool:
    path = extras.take(lambda _, summary: is_embedding(summary))
    if path is None:
        return False
    raw = read_arrays(path)
    faces, bary = next((raw[f], raw[b]) for f, b in EMBEDDINGS if f in raw)
    faces = np.asarray(faces, dtype=np.float64).ravel().astype(np.int64)
    bary = np.asarray(bary, dtype=np.float64).reshape(-1, 3)
    if len(faces) != len(bary) or (faces.size and (faces.min() < 0 or faces.max() >= len(parts.triangles))):
        raise PortraitError(
            f"extra file '{path}': landmarks of another topology (they reach triangle {faces.max()}, "
            f"the model has {len(parts.triangles)}); give this model's own"
        )
    if "landmark_indices" in raw:
        which, scheme, count = np.asarray(raw["landmark_indices"]).ravel().astype(np.int64), "mediapipe478", 478
        weights = np.full(478, _assemble.PRIOR.landmark)
    else:
        count, scheme, weights = 68, "ibug68", _assemble.ibug_weights()
        known = {51: np.arange(17, 68), 68: np.arange(68), 70: np.arange(70)}
        if len(faces) not in known:
            raise PortraitError(f"extra file '{path}': {len(faces)} landmarks, expected 51, 68, 70 or MediaPipe's 105")
        which = known[len(faces)]
    keep = which < count
    at, corners, tied = np.zeros(count, np.int64), np.full((count, 3), 1 / 3), np.zeros(count)
    at[which[keep]], corners[which[keep]], tied[which[keep]] = faces[keep], bary[keep], weights[which[keep]]
    parts.landmarks[scheme] = at, corners, tied
    return True


READER = FlameFormat()
