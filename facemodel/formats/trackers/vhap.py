"""VHAP: an export's folder (``transforms.json`` and ``flame_param``), or ``tracked_flame_params_*.npz``.

An npz without cameras has the camera of VHAP's monocular clips: at (0, 0, 1), looking along -z. Vertices of the teeth
that VHAP adds, offsets, textures and lights are left out. ``eyelids``, which VHAP itself has none of, are read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.flame_parameters import Flame, moved_before, root_joint
from facemodel.formats._containers import read_arrays, summarize
from facemodel.formats.trackers.base import TRACKERS, Tracked, Tracker, rows, shape_and_expression
from foundation.errors import PortraitError

NAMES = {"rotation", "translation", "neck_pose", "jaw_pose", "eyes_pose", "shape", "expr"}
LEFT_OUT = ("static_offset", "dynamic_offset")


def knows(path: Path) -> bool:
    if path.is_dir():
        return (path / "transforms.json").is_file() and (path / "flame_param").is_dir()
    return summarize(path).has(*NAMES)


def read_vhap(path: Path, model: FaceModel) -> Tracked:
    """The first camera's frames of a folder, in their order, or all of an npz."""
    return read_folder(path, model) if path.is_dir() else read_tracked(path, model)


def flame_in(path: Path) -> tuple[Flame, list[str]]:
    """The frames of an npz, and what was in it that a face model of this project hasn't."""
    file = read_arrays(path)
    if missing := NAMES - set(file):
        raise PortraitError(f"'{path}': expected VHAP's parameters, '{sorted(missing)[0]}' is missing")
    shape, expression = shape_and_expression(file["shape"], file["expr"], path)
    each = {n: rows(file[n], n, path, c, len(expression)) for n, c in
            (("rotation", 3), ("translation", 3), ("neck_pose", 3), ("jaw_pose", 3), ("eyes_pose", 6))}  # fmt: skip
    lids = rows(file.get("eyelids", np.zeros((1, 2))), "eyelids", path, 2, len(expression))
    flame = Flame(shape, expression, *each.values(), lids=lids.clip(0, 1))
    offsets = [n for n in LEFT_OUT if n in file and np.any(file[n])]
    return flame, [f"{n}: offsets of vertices, which are left out" for n in offsets]


def before(flame: Flame, model: FaceModel, camera: np.ndarray) -> Flame:
    """Seen by cameras (F or 1, 4, 4) from the camera to the world, OpenGL's axes."""
    expression = torch.zeros(len(flame), model.count("expression"))
    expression[:, : flame.expression.shape[1]] = torch.from_numpy(flame.expression)
    root = root_joint(model, torch.from_numpy(flame.shape).float(), expression)
    world = np.linalg.inv(camera)
    return moved_before(flame, root, world[:, :3, :3], world[:, :3, 3])


def read_tracked(path: Path, model: FaceModel) -> Tracked:
    flame, notes = flame_in(path)
    file = read_arrays(path)
    size = np.asarray(file.get("image_size", [])).ravel()
    if size.size != 2:
        raise PortraitError(f"'{path}': expected 'image_size' beside the parameters; give VHAP's exported folder")
    height, width = (int(n) for n in size)
    focal = float(np.asarray(file.get("focal_length", np.nan)).ravel()[0]) * max(width, height)
    if not math.isfinite(focal) or focal <= 0:
        raise PortraitError(f"'{path}': expected 'focal_length' beside the parameters; give VHAP's exported folder")
    camera = np.eye(4)[None].copy()
    camera[0, 2, 3] = 1
    said = float(np.asarray(file.get("fps", np.nan)).ravel()[0])  # by this project's own files
    fps = said if math.isfinite(said) and said > 0 else None
    return Tracked(before(flame, model, camera), focal, width, height, (path.name,), tuple(notes), fps=fps)


def read_folder(path: Path, model: FaceModel) -> Tracked:
    try:
        table = json.loads((path / "transforms.json").read_text())
        frames = [f for f in table["frames"] if f["camera_index"] == table["frames"][0]["camera_index"]]
        frames.sort(key=lambda f: f["timestep_index"])
        names = [f["flame_param_path"] for f in frames]
        cameras = np.array([f["transform_matrix"] for f in frames], dtype=float)
        first = frames[0]
        size, focal = (int(first["w"]), int(first["h"])), first["w"] / (2 * math.tan(first["camera_angle_x"] / 2))
        if cameras.shape[1:] != (4, 4) or not math.isfinite(focal) or focal <= 0:
            raise ValueError("its cameras aren't")
        outside = next((n for n in names if not (path / n).resolve().is_relative_to(path.resolve())), None)
        if outside is not None:
            raise ValueError(f"'{outside}' is outside of it")
    except (OSError, ValueError, KeyError, TypeError, IndexError, ZeroDivisionError) as error:
        raise PortraitError(f"'{path}': transforms.json isn't as VHAP writes it ({error})") from None
    parts, notes = [], []
    for name in names:
        flame, found = flame_in(path / name)
        parts.append(flame)
        notes += found
    joined = Flame.joined(parts)
    return Tracked(before(joined, model, cameras), focal, *size, tuple(names), tuple(dict.fromkeys(notes)))


TRACKERS.add("vhap", Tracker("VHAP", knows, read_vhap))
