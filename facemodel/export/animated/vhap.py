"""VHAP's export, which GaussianAvatars reads: pictures, foreground masks, a FLAME npz a frame, three ``transforms``.

World: metres, a resting camera in OpenGL's axes; the head moves by FLAME's rotation and translation. As VHAP does,
translations are counted from their mean, and the camera moves with them. GaussianAvatars takes the principal point for
the picture's middle, which it is here. Keys and split are VHAP's (``vhap/export_as_nerf_dataset.py``); neither project
has eyelids.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facemodel.base import FaceModel
from facemodel.export.animated.avatars import STILL, compare, flame_of
from facemodel.export.animated.base import ANIMATED, Animated, Checked, Performance
from facemodel.export.animated.nerf import intrinsics
from facemodel.export.animated.pictures import check_pictures, pictures_of, save, whole
from facemodel.flame_parameters import Flame
from facemodel.formats.trackers.vhap import read_vhap
from foundation.progress import Report

TRAINED = 0.7  # share of the frames, the first ones
TEETH = 120  # vertices that VHAP adds to FLAME's
OPEN_JAW = 0.3  # radians, of the canonical face
UNITS = {
    "units": "metres, radians",
    "axes": "OpenGL: x right, y up, the camera looks along -z",
    "masks": "mattes of the person, with hair and clothes, and the model's silhouette",
    "flame": "axis-angle; the file doesn't say which generation of FLAME: 'fingerprint' is of the model's file",
}


def write(clip: Performance, folder: Path, report: Report) -> Sequence[str]:
    flame = flame_of(clip, "a data set of VHAP's form")
    middle = flame.translation[clip.faces].mean(0)
    camera = np.eye(4)
    camera[:3, 3] = -middle
    frames, common = [], intrinsics(clip)
    kept = {n: common[n] for n in ("cx", "cy", "fl_x", "fl_y", "h", "w", "camera_angle_x", "camera_angle_y")}
    (folder / "flame_param").mkdir()
    for t, (k, picture) in enumerate(pictures_of(clip, whole(clip), report, matte=True)):
        name = f"{t:05d}_00.png"
        save(folder / "images" / name, picture.image)
        save(folder / "fg_masks" / name, picture.mask)
        write_flame(folder / "flame_param" / f"{t:05d}.npz", clip, flame, k, flame.translation[k] - middle)
        frames.append({
            "timestep_index": t, "timestep_index_original": k, "timestep_id": f"{k:05d}", "camera_index": 0,
            "camera_id": "0", **kept, "transform_matrix": camera.tolist(), "file_path": f"images/{name}",
            "fg_mask_path": f"fg_masks/{name}", "flame_param_path": f"flame_param/{t:05d}.npz",
        })  # fmt: skip
    write_canonical(folder / "canonical_flame_param.npz", clip, flame)
    first = math.ceil(TRAINED * len(frames))
    splits = {"": frames, "_train": frames[:first], "_val": [], "_test": frames[first:]}
    for end, part in splits.items():
        steps = [f["timestep_index"] for f in part]
        table = {"frames": part, **kept, "camera_indices": [0], "timestep_indices": steps}
        (folder / f"transforms{end}.json").write_text(json.dumps(table, indent=1))
    for end in ("_backup", "_backup_flame"):
        (folder / f"transforms{end}.json").write_bytes((folder / "transforms.json").read_bytes())
    if flame.lids.max() > STILL:
        return [f"eyelids, up to {flame.lids.max():.2f} closed, are left out: VHAP and GaussianAvatars have none"]
    return ()


def values(clip: Performance, flame: Flame, frame: int, translation: np.ndarray) -> dict[str, np.ndarray]:
    """One frame's arrays by VHAP's names."""
    each = {"rotation": flame.rotation, "neck_pose": flame.neck, "jaw_pose": flame.jaw, "eyes_pose": flame.eyes}
    found = {name: value[frame][None] for name, value in each.items()}
    found |= {"translation": translation[None], "shape": flame.shape, "expr": flame.expression[frame][None]}
    found["static_offset"] = np.zeros((1, own_vertices(clip.model) + TEETH, 3))
    return {name: value.astype(np.float32) for name, value in found.items()}


def own_vertices(model: FaceModel) -> int:
    """How many vertices are its file's: the rest it was given at its import."""
    return getattr(model.provenance, "own_vertices", None) or len(model.mean)


def write_flame(path: Path, clip: Performance, flame: Flame, frame: int, translation: np.ndarray) -> None:
    """An npz of one frame; readers ignore names that they don't know, such as whose model it is."""
    about = {"flame_model": np.array(clip.track.model), "fingerprint": np.array(clip.track.fingerprint)}
    np.savez(path, **values(clip, flame, frame, translation), **about)


def write_canonical(path: Path, clip: Performance, flame: Flame) -> None:
    """The person at rest with an open jaw."""
    rest = {n: np.zeros_like(v) for n, v in values(clip, flame, 0, np.zeros(3)).items()}
    rest["jaw_pose"][0, 0], rest["shape"] = OPEN_JAW, flame.shape.astype(np.float32)
    np.savez(path, **rest)


def check(clip: Performance, folder: Path) -> Checked:
    """Every frame's npz before the file's camera, without lids."""
    table = json.loads((folder / "transforms.json").read_text())
    names = [f[n] for f in table["frames"] for n in ("file_path", "fg_mask_path")]
    check_pictures(folder, names, whole(clip))
    seen = read_vhap(folder, clip.model)
    first = table["frames"][0]
    focal = first["w"] / (2 * math.tan(first["camera_angle_x"] / 2))  # the only one that its reader takes
    frames = [f["timestep_index_original"] for f in table["frames"]]
    return compare(clip, frames, seen.flame, focal, whole(clip), lids=False)


ANIMATED.add("vhap", Animated("VHAP's data set for GaussianAvatars", write, check, folder=UNITS, pictures=True))
