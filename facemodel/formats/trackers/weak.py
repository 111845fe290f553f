"""DECA, EMOCA, SMIRK: FLAME's coefficients, and a weak-perspective camera of a crop of 224 px.

Files of one frame or of many (npz, npy, mat, pickles), with those projects' names; or a folder of such, or of EMOCA's
folders, a frame each, in the order of the numbers in their names. A pixel is 112 (1 + s (x + t)), y flipped: here a
camera of a very long focal length, which sees the same to about 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel.base import FaceModel
from facemodel.flame_parameters import Flame
from facemodel.formats._containers import read_arrays, summarize
from facemodel.formats.trackers.base import TRACKERS, Tracked, Tracker, natural, rows, shape_and_expression
from foundation.errors import PortraitError

CROP = 224  # px a side
FAR = 100.0  # focal length, in sides of the crop
USUAL = (9.0, 0.0, 0.0)  # scale, x, y of a camera that isn't in the file
MOST = 200_000  # files of a folder


@dataclass(frozen=True)
class Names:
    """What a project calls the parts; the first that is there counts."""

    shape: tuple[str, ...]
    expression: tuple[str, ...]
    pose: tuple[str, ...] = ()  # 6: the head's, the jaw's
    head: tuple[str, ...] = ()
    jaw: tuple[str, ...] = ()
    lids: tuple[str, ...] = ()

    def found(self, there: object) -> bool:
        """Whether names that are there make a face."""
        has = lambda names: any(n in there for n in names)  # noqa: E731
        return has(self.shape) and has(self.expression) and (has(self.pose) or (has(self.head) and has(self.jaw)))


SMIRK = Names(("shape_params", "shape"), ("expression_params", "expression"), head=("pose_params",),
              jaw=("jaw_params", "jaw"), lids=("eyelid_params", "eyelid"))  # fmt: skip
DECA = Names(("shape", "shapecode"), ("exp", "expcode"), ("pose", "posecode"), ("globalpose",), ("jawpose",))


def frames_of(path: Path) -> list[Path]:
    """Files, or EMOCA's folders of npy, a frame each or one of all."""
    if path.is_file():
        return [path]
    inside = natural([p for p in path.iterdir() if not p.name.startswith(".")])[:MOST] if path.is_dir() else []
    if (path / "shape.npy").is_file():
        return [path]
    folders = [p for p in inside if (p / "shape.npy").is_file()]
    return folders or [p for p in inside if p.suffix.lower() in (".npz", ".npy", ".mat", ".pkl", ".pickle")]


def names_in(path: Path) -> set[str]:
    """Of the arrays of a file, or of a folder's npy files."""
    if path.is_dir():
        return {p.stem for p in path.glob("*.npy")}
    return set(summarize(path).shapes)


def arrays_in(path: Path) -> dict:
    """Raises PortraitError."""
    if not path.is_dir():
        return read_arrays(path)
    return {p.stem: read_arrays(p).get("") for p in path.glob("*.npy")}


def knows(path: Path, names: Names, of_folders: bool) -> bool:
    frames = frames_of(path)
    return bool(frames) and frames[0].is_dir() == of_folders and names.found(names_in(frames[0]))


def read(path: Path, names: Names) -> Tracked:
    frames = frames_of(path)
    parts = [one(frame, names) for frame in frames]
    flame = Flame.joined([f for f, _ in parts])
    notes = [f"pixels are those of a crop of {CROP} x {CROP}, which these files don't place in the picture"]
    if not all(camera for _, camera in parts):
        notes.append("without 'cam' the head is in the middle, at the usual size")
    return Tracked(flame, FAR * CROP, CROP, CROP, tuple(p.name for p in frames), tuple(notes))


def one(path: Path, names: Names) -> tuple[Flame, bool]:
    """A file's frames, and whether it has a camera."""
    found = arrays_in(path)

    def take(options: tuple[str, ...]) -> object:
        return next((found[n] for n in options if found.get(n) is not None), None)

    if take(names.shape) is None or take(names.expression) is None:
        raise PortraitError(f"'{path}': expected coefficients of shape and expression, found {', '.join(found)[:80]}")
    shape, expression = shape_and_expression(take(names.shape), take(names.expression), path)
    count, pose = len(expression), take(names.pose)
    if pose is not None:
        pose = rows(pose, "pose", path, 6, count)
        head, jaw = pose[:, :3], pose[:, 3:]
    else:
        head, jaw = (rows(take(n), what, path, 3, count) for n, what in ((names.head, "pose"), (names.jaw, "jaw")))
    lids = take(names.lids)
    lids = np.zeros((count, 2)) if lids is None else rows(lids, "eyelids", path, 2, count).clip(0, 1)
    camera = found.get("cam")
    s, x, y = rows(USUAL if camera is None else camera, "cam", path, 3, count).T
    if not (s > 0).all():
        raise PortraitError(f"'{path}': cam: expected a scale above 0, got {s.min():g}")
    translation = np.stack([x, y, -2 * FAR / s], 1)  # metres: FAR sides / (half a side * s)
    still = np.zeros((count, 3))
    return Flame(shape, expression, head, translation, still, jaw, np.zeros((count, 6)), lids), camera is not None


def tracker(title: str, names: Names, of_folders: bool) -> Tracker:
    def read_with(path: Path, model: FaceModel) -> Tracked:
        return read(path, names)

    return Tracker(title, lambda path: knows(path, names, of_folders), read_with)


TRACKERS.add("smirk", tracker("SMIRK", SMIRK, False))
TRACKERS.add("emoca", tracker("EMOCA", DECA, True))
TRACKERS.add("deca", tracker("DECA", DECA, False))
