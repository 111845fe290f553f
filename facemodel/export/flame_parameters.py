"""FLAME parameters of a clip as VHAP writes them and GaussianAvatars and its kin read them: one npz.

Enters a track of a FLAME model, leaves arrays by VHAP's names: radians, metres, one row a frame. In their world the
camera stands at (0, 0, 1) metre and looks along -z, x to the right, y up; FLAME's vertices are skinned with
``rotation`` about its root joint, then moved by ``translation``. ``portrait model convert --npz`` calls it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from facemodel.base import FaceModel
from facemodel.flame_parameters import lid_indices, to_flame
from facemodel.jointed import JointedModel
from facemodel.track import Track
from foundation.atomic import write_file
from foundation.errors import PortraitError

FLAME, TEETH = 5023, 120  # vertices of FLAME, and those that VHAP adds to it


def check_flame(model: FaceModel) -> None:
    """PortraitError unless it is a FLAME model."""
    said = getattr(model.provenance, "format", None)
    if not isinstance(model, JointedModel) or said != "FLAME":
        raise PortraitError(
            f"npz: FLAME parameters need a FLAME model, '{model.name}' is {said or 'none'}; give --to flame.model"
        )


def flame_parameters(track: Track, model: JointedModel) -> dict[str, np.ndarray]:
    """The arrays, by name. ``track`` is of this model, and moves by its own expressions alone."""
    p = track.parameters.expanded()
    frames, flame = len(track), to_flame(p, model)
    count = len(model.mean) + (TEETH if len(model.mean) == FLAME else 0)
    lights = np.zeros((9, 3))
    lights[0] = np.sqrt(4 * np.pi)
    arrays = {
        "rotation": flame.rotation,
        "translation": flame.translation + (0.0, 0.0, 1.0),
        "neck_pose": flame.neck,
        "jaw_pose": flame.jaw,
        "eyes_pose": flame.eyes,
        "shape": flame.shape,
        "expr": flame.expression,
        "static_offset": np.zeros((1, count, 3)),
        "focal_length": np.array([float(track.parameters.focal) / max(track.width, track.height)]),
        "lights": lights,
    }
    if None not in lid_indices(model):
        arrays["eyelids"] = flame.lids  # the trackers that know lids have them by this name
    return {name: value.astype(np.float32) for name, value in arrays.items()} | {
        "timestep_id": np.array([f"{k:05d}" for k in range(frames)]),
        "n_processed_frames": np.array(frames),
        "image_size": np.array([track.height, track.width]),
        "fps": np.array(track.fps),
        "tracked": track.tracked.numpy(),
        # Which of FLAME's generations it is can't be told from coefficients: readers skip names that they don't know.
        "flame_model": np.array(model.name),
        "flame_sha256": np.array(model.provenance.sha256),
    }


def write_flame_parameters(path: str | os.PathLike, track: Track, model: FaceModel) -> Path:
    """Writes the npz, whole or not at all. Raises PortraitError where the model isn't FLAME."""
    check_flame(model)
    data = io.BytesIO()
    np.savez(data, **flame_parameters(track, model))
    return write_file(path, data.getvalue(), "npz")
