"""MediaPipe's blend shape scores as JSON, both ways: 52 names, ``_neutral`` first, no tongueOut.

Written as the JavaScript task's results: a list of frames with ``faceBlendshapes`` and
``facialTransformationMatrixes`` (columns first; centimetres, y up, the camera looks along -z). Read by names wherever
they are: those results, Python's (``category_name``), objects of names and scores, or bare lists in MediaPipe's order.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from facemodel.arkit import ARKIT_NAMES
from facemodel.base import FaceModel
from facemodel.editing.curves import Curves, curve_columns
from facemodel.track import Track
from foundation.errors import PortraitError
from geometry.camera import FLIP
from geometry.rotation import rotation_matrix

NEUTRAL = "_neutral"
NAMES = (NEUTRAL, *sorted(n for n in ARKIT_NAMES if n != "tongueOut"))
TIMES = {"timestampMs": 0.001, "timestamp_ms": 0.001, "timestamp": 1.0, "time": 1.0}
LARGEST = 512 << 20  # bytes
CENTIMETRES = 0.1


def score_frames(track: Track, model: FaceModel) -> list[dict]:
    """A result a frame; those without a face have none."""
    columns, p = curve_columns(track, model), track.parameters.expanded()
    rotation = rotation_matrix(p.rotation.double()).numpy()
    translation = CENTIMETRES * p.translation.double().numpy() * FLIP
    frames = []
    for k, (time, face) in enumerate(zip(track.seconds.tolist(), track.tracked.tolist())):
        frame: dict = {"timestampMs": round(1000 * time, 3), "faceBlendshapes": [], "facialTransformationMatrixes": []}
        if face:
            scores = [0.0 if n == NEUTRAL else float(columns[n][k]) for n in NAMES]
            categories = [{"index": i, "score": s, "categoryName": n, "displayName": ""}
                          for i, (n, s) in enumerate(zip(NAMES, scores))]  # fmt: skip
            frame["faceBlendshapes"] = [{"categories": categories, "headIndex": -1, "headName": ""}]
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = rotation[k], translation[k]
            data = pose.T.ravel().tolist()
            frame["facialTransformationMatrixes"] = [{"rows": 4, "columns": 4, "data": data}]
        frames.append(frame)
    return frames


def read_scores(path: Path, *, default_rate: float = 30.0) -> Curves:
    """ARKit's shapes of a file as curves. PortraitError with the frame for what isn't as it should be."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        whole = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise PortraitError(f"curves '{path}': can't be read as JSON ({str(error)[:80]}); export it again") from None
    frames = whole
    if isinstance(whole, dict):
        frames = next((whole[n] for n in ("frames", "results") if isinstance(whole.get(n), list)), [whole])
    elif isinstance(whole, list) and whole and (is_numbers(whole) or is_categories(whole)):
        frames = [whole]
    if not isinstance(frames, list) or not frames:
        raise PortraitError(f"curves '{path}': expected a list of frames with blend shapes, found none")
    found = [scores_of(frame, f"curves '{path}', frame {k}") for k, frame in enumerate(frames)]
    if not any(found):
        raise PortraitError(f"curves '{path}': no frame has blend shapes; expected 'faceBlendshapes' with categories")
    names = dict.fromkeys(n for frame in found for n in frame if n != NEUTRAL)
    known = {n.lower(): n for n in ARKIT_NAMES}
    values = {known[n.lower()]: np.array([frame.get(n, math.nan) for frame in found]) for n in names
              if n.lower() in known}  # fmt: skip
    skipped = tuple(n for n in names if n.lower() not in known)
    if not values:
        raise PortraitError(f"curves '{path}': none of its names is ARKit's: {', '.join(list(names)[:4])}")
    empty = sum(not frame for frame in found)
    notes = (f"{empty} of {len(found)} frames have no face: curves go on between the others",) if empty else ()
    return Curves(times_of(frames, default_rate), values, skipped, notes=notes)


def scores_of(frame: object, what: str) -> dict[str, float]:
    """Scores by name of one frame, in any of the forms; none of a frame without a face."""
    if isinstance(frame, dict):
        inside = next((frame[n] for n in ("faceBlendshapes", "face_blendshapes", "blendshapes", "categories")
                       if n in frame), None)  # fmt: skip
        if inside is not None:
            return scores_of(inside, what)
        return {str(n): score(v, f"{what}, {n}") for n, v in frame.items() if n not in TIMES and is_number(v)}
    if not isinstance(frame, list):
        raise PortraitError(f"{what}: expected blend shapes, got {type(frame).__name__}")
    if not frame:
        return {}
    if is_numbers(frame):
        if len(frame) not in (len(NAMES), len(NAMES) - 1):
            raise PortraitError(f"{what}: expected {len(NAMES)} scores in MediaPipe's order, got {len(frame)}")
        return {n: score(v, f"{what}, {n}") for n, v in zip(NAMES[-len(frame) :], frame)}
    if is_categories(frame):
        return {name_of(c): score(c.get("score"), f"{what}, {name_of(c)}") for c in frame}
    return scores_of(frame[0], what)  # a list of faces: the first


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_numbers(values: list) -> bool:
    return all(is_number(v) for v in values)


def is_categories(values: list) -> bool:
    return all(isinstance(v, dict) and name_of(v) for v in values)


def name_of(category: dict) -> str:
    return str(category.get("categoryName") or category.get("category_name") or "")


def score(value: object, what: str) -> float:
    if not is_number(value) or not math.isfinite(value):
        raise PortraitError(f"{what}: expected a score, got {str(value)[:40]!r}")
    return min(max(float(value), 0.0), 1.0)


def times_of(frames: list, rate: float) -> np.ndarray:
    """(R,) seconds after the first frame: as they say, or at a rate."""
    even = np.arange(len(frames)) / rate
    for name, unit in TIMES.items():
        if all(isinstance(f, dict) and is_number(f.get(name)) and math.isfinite(f[name]) for f in frames):
            times = np.array([f[name] * unit for f in frames], dtype=float)
            return times - times[0] if (np.diff(times) > 0).all() else even
    return even
