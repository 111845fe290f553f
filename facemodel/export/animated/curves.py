"""Tables of numbers for programs that bring their own face: Live Link Face's csv, OpenFace's csv, MediaPipe's JSON.

csv has no room for units and axes: they are in ``<name>.about.json``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facemodel.editing.curves import curve_columns, write_curves
from facemodel.editing.openface import openface_table
from facemodel.editing.scores import score_frames
from facemodel.export.animated.base import ANIMATED, Animated, Checked, Performance
from foundation.progress import Report

ARKIT = {
    "units": "activations 0 to 1; angles in radians; timecodes hh:mm:ss:ff.fff",
    "axes": "yaw to the subject's left, pitch up, roll counter-clockwise as the viewer sees it",
}
OPENFACE = {
    "units": "millimetres, radians, seconds, pixels (the top left pixel's centre is at 0.5); AU_r 0 to 5",
    "axes": "the camera's: x right, y down, z away; pose_R is R = Rx Ry Rz, and pose_T midway between the ears",
    "eyes": "gaze_0 is the eye on the picture's left, the subject's right",
    "action_units": "AU-like, from geometry: facemodel.action_units; no coder has calibrated the scale",
    "frames": "success 0: no face, values lie between those of other frames",
}
MEDIAPIPE = {
    "units": "scores 0 to 1; milliseconds; matrices in centimetres, columns first",
    "axes": "y up, the camera looks along -z",
}


def about(clip: Performance, path: Path, format: str, facts: dict) -> None:
    table = {"format": format, **facts, **clip.facts()}
    path.with_name(path.stem + ".about.json").write_text(json.dumps(table, indent=1))


def write_arkit(clip: Performance, path: Path, report: Report) -> Sequence[str]:
    write_curves(clip.track, clip.model, path)
    about(clip, path, "Live Link Face", ARKIT)
    return ()


def write_openface(clip: Performance, path: Path, report: Report) -> Sequence[str]:
    names, table = openface_table(clip.track, clip.model)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([f"{value:.10g}" for value in row] for row in table.tolist())
    about(clip, path, "OpenFace", OPENFACE)
    if "ibug68" not in clip.model.embeddings:
        return [f"the model '{clip.model.name}' has none of iBUG's landmarks: their columns are left out"]
    return ()


def write_mediapipe(clip: Performance, path: Path, report: Report) -> Sequence[str]:
    table = {"about": {**MEDIAPIPE, **clip.facts()}, "frames": score_frames(clip.track, clip.model)}
    path.write_text(json.dumps(table))
    return ()


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def check_arkit(clip: Performance, path: Path) -> Checked:
    rows, columns = rows_of(path), curve_columns(clip.track, clip.model)
    found = {n[0].lower() + n[1:]: np.array([float(r[n]) for r in rows]) for n in rows[0] if n not in ("Timecode",)}
    off = max(float(np.abs(found[n[0].lower() + n[1:]] - v).max()) for n, v in columns.items())
    return Checked("Python's csv", value=off, frames=len(rows))


def check_openface(clip: Performance, path: Path) -> Checked:
    rows, (names, table) = rows_of(path), openface_table(clip.track, clip.model)
    found = np.array([[float(row[n]) for n in names] for row in rows])
    off = np.abs(found - table).max(0)
    kinds = {"mm": ("X_", "Y_", "Z_", "pose_T"), "px": ("x_", "y_")}
    worst = {k: max((float(o) for n, o in zip(names, off) if n.startswith(starts)), default=None)
             for k, starts in kinds.items()}  # fmt: skip
    others = [float(o) for n, o in zip(names, off) if not n.startswith(sum(kinds.values(), ()))]
    return Checked("Python's csv", worst["mm"], worst["px"], max(others), len(rows))


def check_mediapipe(clip: Performance, path: Path) -> Checked:
    frames, columns = json.loads(path.read_text())["frames"], curve_columns(clip.track, clip.model)
    rotation, translation = clip.poses
    off, mm = 0.0, 0.0
    for k in clip.faces:
        for c in frames[k]["faceBlendshapes"][0]["categories"]:
            wanted = columns[c["categoryName"]][k] if c["categoryName"] in columns else 0.0
            off = max(off, abs(c["score"] - float(wanted)))
        matrix = np.array(frames[k]["facialTransformationMatrixes"][0]["data"]).reshape(4, 4).T
        seen = 10 * matrix[:3, 3] * (1, -1, -1) - translation[k]
        turned = 100 * (matrix[:3, :3] * np.array([[1], [-1], [-1]]) - rotation[k])  # at 100 mm
        mm = max(mm, float(np.abs(seen).max()), float(np.abs(turned).max()))
    return Checked("Python's json", mm, value=off, frames=len(frames))


ANIMATED.add("arkit", Animated("Live Link Face's curves", write_arkit, check_arkit, (".csv",)))
ANIMATED.add("openface", Animated("OpenFace's csv", write_openface, check_openface))
ANIMATED.add("mediapipe", Animated("MediaPipe's blend shape scores", write_mediapipe, check_mediapipe, (".json",)))
