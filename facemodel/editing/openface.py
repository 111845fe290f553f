"""OpenFace's csv, both ways: head pose, gaze, landmarks and action units of every frame.

Of the published columns, by name (Baltrusaitis et al., "OpenFace 2.0", FG 2018, and its wiki, "Output Format"). Camera
frame: millimetres, x right, y down, z away. ``pose_R``: R = Rx Ry Rz, none for a head that looks into the camera; more
looks down, to the picture's left, and rolls clockwise. ``gaze_0`` is the eye on the picture's left, the subject's
right. ``pose_T`` is here the point midway between the ears. Units are AU-like (`facemodel.action_units`).
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facemodel.action_units import PRESENT, STRONGEST, activations, intensities, unit_name
from facemodel.base import FaceModel
from facemodel.editing.curves import ANGLES, Curves, curve_columns
from facemodel.editing.poses import head_angles
from facemodel.gaze import gaze_direction, gaze_to_eye_look
from facemodel.track import Track
from foundation.atomic import write_csv
from foundation.errors import PortraitError
from geometry.camera import FLIP, project, to_camera

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)  # that OpenFace has; 28 only as present or not
HEAD = ("frame", "face_id", "timestamp", "confidence", "success")
GAZE = tuple(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz")
POSE = tuple(f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz")
KNOWN = re.compile(
    r"frame|face|face_id|timestamp|confidence|success|(eye_lmk|gaze|pose)_\w+|[xyXYZ]_\d+|p_\w+|AU\d\d_[rc]", re.ASCII
)
FLIP_MATRIX = np.diag(FLIP)


def openface_table(track: Track, model: FaceModel) -> tuple[list[str], np.ndarray]:
    """Names of columns, and numbers (F, C). Frames without a face have success 0, and what lies between others.

    Landmarks only of a model that has iBUG's 68.
    """
    p = track.parameters.expanded()
    frames = len(track)
    rotation = Rotation.from_rotvec(p.rotation.double().numpy()).as_matrix()
    turn = FLIP_MATRIX @ rotation @ FLIP_MATRIX  # axes of a head as the camera's
    directions = gaze_direction(p.gaze.double()).numpy() @ rotation.transpose(0, 2, 1) * np.array(FLIP)
    mean = directions.mean(1)
    angles = np.stack([np.arctan2(mean[:, 0], -mean[:, 2]), np.arctan2(mean[:, 1], -mean[:, 2])], 1)
    columns = [
        rows_of(track),
        directions[:, ::-1].reshape(frames, 6),
        angles,
        p.translation.double().numpy(),
        euler(turn),
    ]
    names = [*HEAD, *GAZE, "gaze_angle_x", "gaze_angle_y", *POSE]
    if "ibug68" in model.embeddings:
        with torch.inference_mode():
            vertices = model.vertices(p.identity, p.expression, p.gaze, p.joints if model.count("joints") else None)
            points = model.landmarks(vertices, "ibug68").double()
            points = to_camera(points, p.rotation.double(), p.translation.double())
            pixels = project(points, track.camera)
        for letter, values in zip("xyXYZ", [*pixels.unbind(-1), *points.unbind(-1)]):
            columns.append(values.numpy())
            names += [f"{letter}_{k}" for k in range(values.shape[1])]
    units, values = units_of(track, model)
    return [*names, *units], np.concatenate([*columns, values], 1)


def unit_table(track: Track, model: FaceModel) -> tuple[list[str], np.ndarray]:
    """The same of action units alone: frames, times and ``AUxx_r``, ``AUxx_c``."""
    names, values = units_of(track, model)
    return [*HEAD, *names], np.concatenate([rows_of(track), values], 1)


def write_units(path: Path, track: Track, model: FaceModel) -> Path:
    """Writes `unit_table` as CSV."""
    names, table = unit_table(track, model)
    return write_csv(path, [names, *([f"{value:.6g}" for value in row] for row in table.tolist())], "action units")


def rows_of(track: Track) -> np.ndarray:
    """(F, 5): frame from 1, face, seconds, confidence, success."""
    frames, found = len(track), track.tracked.numpy()
    return np.stack(
        [np.arange(1, frames + 1), np.zeros(frames), track.seconds.numpy(), track.confidence.double().numpy() * found,
         found.astype(float)], 1,
    )  # fmt: skip


def units_of(track: Track, model: FaceModel) -> tuple[list[str], np.ndarray]:
    """Names of OpenFace's units, and (F, K): how strong each is, then which are there."""
    model.require("arkit", "telling action units")
    units, order = intensities(curve_columns(track, model)), sorted((*UNITS, 28))
    strength = {n: np.clip(units[n], 0, STRONGEST) for n in order}
    names = [f"{unit_name(n)}_r" for n in UNITS] + [f"{unit_name(n)}_c" for n in order]
    there = [(strength[n] >= PRESENT).astype(float) for n in order]
    return names, np.stack([*(strength[n] for n in UNITS), *there], 1)


def euler(turn: np.ndarray) -> np.ndarray:
    """(F, 3) of rotations (F, 3, 3) = Rx Ry Rz."""
    return Rotation.from_matrix(turn).as_euler("XYZ")


def read_openface(path: Path, *, default_rate: float = 30.0) -> Curves:
    """ARKit's shapes, gaze and head angles of a file, as curves; of several faces, the one in most rows.

    Rows without success are gaps. Columns that aren't OpenFace's are in ``skipped``.
    """
    names, table = read_table(path)
    notes, columns = [], {n: table[:, k] for k, n in enumerate(names)}
    if "face_id" in columns:
        faces = Counter(columns["face_id"].tolist())
        face, _ = faces.most_common(1)[0]
        if len(faces) > 1:
            notes.append(f"{len(faces)} faces: the one with face_id {face:g} is taken")
            columns = {n: v[columns["face_id"] == face] for n, v in columns.items()}
    count = len(next(iter(columns.values())))
    times = columns.get("timestamp", np.zeros(count))
    if count > 1 and not (np.diff(times) > 0).all():
        times = np.arange(count) / default_rate
        notes.append(f"without times: rows are taken for {default_rate:g} frames a second")
    units = {int(n[2:4]): v for n, v in columns.items() if re.fullmatch(r"AU\d\d_r", n)}
    values: dict[str, np.ndarray] = {n: np.clip(v, 0, 1) for n, v in activations(units).items()}
    turn = None
    if all(n in columns for n in POSE[3:]):
        angles = np.stack([columns[n] for n in POSE[3:]], 1)
        turn = FLIP_MATRIX @ Rotation.from_euler("XYZ", angles).as_matrix() @ FLIP_MATRIX
        found = head_angles(torch.from_numpy(Rotation.from_matrix(turn).as_rotvec()))
        values |= dict(zip(ANGLES, found.T))
    if all(n in columns for n in GAZE):
        values |= looks(columns, turn)
        if turn is None:
            notes.append("gaze is taken for that of a head that looks into the camera: there is no pose beside it")
    if not values:
        raise PortraitError(f"curves '{path}': has no action units, gaze or pose; export it again with them")
    if "success" in columns:
        lost = columns["success"] < 0.5
        if lost.all():
            raise PortraitError(f"curves '{path}': no row has a face (success is 0 in all); export another clip")
        values = {n: np.where(lost, np.nan, v) for n, v in values.items()}
        if lost.any():
            notes.append(f"{int(lost.sum())} of {count} rows have no face: curves go on between the others")
    skipped = tuple(n for n in names if not KNOWN.fullmatch(n))
    return Curves(times - times[0], values, skipped, notes=tuple(notes))


def read_units(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Names ("AU01", ...) and intensities (F, K), 0 to 5, of a file's ``AUxx_r``; NaN where success is 0.

    PortraitError for a file without them, and for one of several faces.
    """
    names, table = read_table(path)
    chosen = [k for k, name in enumerate(names) if re.fullmatch(r"AU\d\d_r", name)]
    if not chosen:
        raise PortraitError(f"action units '{path}': has no columns AU01_r and so on; export it again with them")
    if "face_id" in names and len(set(table[:, names.index("face_id")].tolist())) > 1:
        raise PortraitError(f"action units '{path}': expected one face, found several; keep the rows of one of them")
    values = np.clip(table[:, chosen], 0, STRONGEST)
    if "success" in names:
        values[table[:, names.index("success")] < 0.5] = np.nan
    return tuple(names[k][:4] for k in chosen), values


def looks(columns: dict[str, np.ndarray], turn: np.ndarray | None) -> dict[str, np.ndarray]:
    """ARKit's eyeLook shapes and the eyes' angles, in the head's frame, of both gaze directions."""
    directions = np.stack([np.stack([columns[f"gaze_{e}_{a}"] for a in "xyz"], -1) for e in (1, 0)], 1)  # left first
    directions = directions * np.array(FLIP)
    if turn is not None:
        directions = directions @ turn
    gaze = np.stack(
        [np.arctan2(directions[..., 0], directions[..., 2]),
         np.arctan2(directions[..., 1], np.hypot(directions[..., 0], directions[..., 2]))], -1,
    )  # fmt: skip
    found = {n: v.numpy() for n, v in gaze_to_eye_look(torch.from_numpy(gaze)).items()}
    return found | {"LeftEyeYaw": gaze[:, 0, 0], "LeftEyePitch": gaze[:, 0, 1], "RightEyeYaw": gaze[:, 1, 0],
                    "RightEyePitch": gaze[:, 1, 1]}  # fmt: skip


def read_table(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of columns, stripped, and numbers (R, C); PortraitError with row and column for what isn't one."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PortraitError(f"curves '{path}': can't be read as CSV ({error}); export it again") from None
    if len(rows) < 2:
        raise PortraitError(f"curves '{path}': holds no rows; export it again")
    names = [name.strip() or f"column {k + 1}" for k, name in enumerate(rows[0])]
    table = np.full((len(rows) - 1, len(names)), np.nan)
    for number, row in enumerate(rows[1:]):
        if len(row) != len(names):
            raise PortraitError(f"curves '{path}', row {number + 2}: expected {len(names)} cells, got {len(row)}")
        for k, (name, cell) in enumerate(zip(names, row)):
            if not KNOWN.fullmatch(name):
                continue
            try:
                table[number, k] = float(cell)
            except ValueError:
                table[number, k] = math.nan
            if not math.isfinite(table[number, k]):
                what = f"curves '{path}', row {number + 2}, column {name}"
                raise PortraitError(f"{what}: expected a number, got '{cell.strip()[:40]}'")
    return names, table


def is_openface(names: list[str]) -> bool:
    """Whether a header is of such a file."""
    there = {name.strip() for name in names}
    return bool(there & {"AU01_r", "AU12_r", "pose_Rx", "gaze_0_x"})
