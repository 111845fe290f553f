"""metrical-tracker: its ``checkpoint/*.frame``, torch's files of a frame each.

The head's pose is its camera's; that in OpenCV's form is taken. Read with ``weights_only``, numpy's arrays let in.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facemodel.base import FaceModel
from facemodel.flame_parameters import Flame, from_six, moved_before, root_joint
from facemodel.formats.trackers.base import (
    TRACKERS,
    Tracked,
    Tracker,
    natural,
    numbers,
    rows,
    shape_and_expression,
)
from foundation.errors import PortraitError
from geometry.camera import FLIP

LARGEST = 64 << 20  # bytes of a frame
NEAR = 1.0  # px that a principal point may be off the middle before it's worth a note
NUMPY = [np.ndarray, np.dtype, np.core.multiarray._reconstruct, np.core.multiarray.scalar]  # noqa: SLF001
NUMPY += [type(np.dtype(n)) for n in ("f4", "f8", "i4", "i8", "u1", "bool")]


def files_of(path: Path) -> list[Path]:
    """A frame, or those of a folder, or of its ``checkpoint``."""
    if path.is_file():
        return [path] if path.suffix == ".frame" else []
    found = list(path.glob("*.frame")) or list((path / "checkpoint").glob("*.frame"))
    return natural(found)


def load(path: Path) -> dict:
    """The tensors of a frame; PortraitError for anything else."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is larger than any frame")
        with torch.serialization.safe_globals(NUMPY):
            found = torch.load(path, map_location="cpu", weights_only=True)
        if not (isinstance(found, dict) and {"flame", "opencv", "img_size"} <= found.keys()):
            raise ValueError("'flame', 'opencv' or 'img_size' is missing")
        return found
    except Exception as error:  # whatever garbled bytes do to the machine that reads them
        reason = " ".join(str(error).split())[:100]
        raise PortraitError(f"'{path}': can't be read as metrical-tracker's frame ({reason})") from None


def knows(path: Path) -> bool:
    return bool(files_of(path))


def read(path: Path, model: FaceModel) -> Tracked:
    files = files_of(path)
    frames = [load(file) for file in files]
    parts = [one(frame, file) for frame, file in zip(frames, files)]
    flame = Flame.joined(parts)
    rotation = np.concatenate([rows(f["opencv"]["R"], "R", p, 3)[None] for f, p in zip(frames, files)])
    translation = np.concatenate([rows(f["opencv"]["t"], "t", p, 3) for f, p in zip(frames, files)])
    if rotation.shape[1:] != (3, 3):
        raise PortraitError(f"'{files[0]}': expected a camera's R of 3 x 3, got {rotation.shape[1:]}")
    k = rows(frames[0]["opencv"]["K"], "K", files[0], 3)
    width, height = picture_size(frames[0]["img_size"], k, files[0])
    focal, aside = float(k[0, 0]), k[:2, 2] - (width / 2, height / 2)
    if not focal > 0:
        raise PortraitError(f"'{files[0]}': expected a focal length above 0, got {focal:g}")
    # A track's principal point is the picture's middle: one that isn't moves the head as far, at its distance.
    translation[:, :2] += aside / focal * translation[:, 2:]
    notes = [f"the principal point is {np.abs(aside).max():.1f} px off the middle: heads are moved by that"]
    expression = torch.zeros(len(flame), model.count("expression"))
    expression[:, : flame.expression.shape[1]] = torch.from_numpy(flame.expression)
    root = root_joint(model, torch.from_numpy(flame.shape).float(), expression)
    seen = moved_before(flame, root, np.array(FLIP)[:, None] * rotation, translation * np.array(FLIP))
    names = tuple(p.name for p in files)
    return Tracked(seen, focal, width, height, names, tuple(notes if np.abs(aside).max() > NEAR else ()))


def one(frame: dict, path: Path) -> Flame:
    """A frame's coefficients, without a pose."""
    found = frame["flame"]
    try:
        shape, expression = shape_and_expression(found["shape"], found["exp"], path)
        jaw = from_six(rows(found["jaw"], "jaw", path, 6, 1))
        eyes = from_six(rows(found["eyes"], "eyes", path, 12, 1).reshape(2, 6)).reshape(1, 6)
        lids = rows(found["eyelids"], "eyelids", path, 2, 1)
    except (KeyError, TypeError) as error:
        raise PortraitError(f"'{path}': expected metrical-tracker's flame, {error} is missing") from None
    still = np.zeros((1, 3))
    return Flame(shape, expression, still, still, still, jaw, eyes, lids)


def picture_size(size: object, k: np.ndarray, path: Path) -> tuple[int, int]:
    """Width and height, px, of which a file doesn't say the order: the principal point is about the middle."""
    a, b = (int(n) for n in numbers(size, "img_size", path).ravel()[:2])
    middle = k[:2, 2]
    straight, turned = (float(np.abs(middle - (w / 2, h / 2)).sum()) for w, h in ((a, b), (b, a)))
    return (a, b) if straight <= turned else (b, a)


TRACKERS.add("metrical-tracker", Tracker("metrical-tracker", knows, read))
