"""A corpus on disk to clips: whose, doing what, and where what is known of them lies. A table of layouts.

To add one, write a file in `neural_render.corpora.layouts` that says

    CORPORA.add("my-corpus", Layout("My corpus (Me, 2026)", knows, read))

How files are opened and faces found is the caller's (`Tools`); nothing is decoded before a clip's frames are asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facemodel.base import FaceModel
from facemodel.editing.openface import read_units
from facemodel.track import Track
from foundation.errors import PortraitError
from foundation.registry import Registry
from neural_render.methods.clip import ActionUnits, Clip, Frame, Landmarks

SPLITS = ("train", "test")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg")
UNITS = ".aus.csv"  # of a clip's action units beside it, in OpenFace's columns


@dataclass(frozen=True)
class Tools:
    """What readers take from the caller."""

    open: Callable[[Path], object]  # frames of a video, a picture or a folder of pictures, with width, height, fps
    model: FaceModel | None = None
    find_landmarks: Callable[[Clip], Landmarks] | None = None
    find_track: Callable[[Clip], Track] | None = None

    def clip(self, path: Path, root: Path, person: str, performance: str = "", **facts) -> Clip:
        """A file's clip; facts: more of its source."""
        frames = self.open(path)
        clip = Clip(
            Later(self.open, path, frames.frame_count), frames.width, frames.height, frames.fps, person,
            {"corpus": root.name, "file": path.relative_to(root).as_posix(), "bytes": size_of(path), **facts},
            self.model, self.find_track, performance=performance,
        )  # fmt: skip
        if self.find_landmarks is not None:
            clip.find_landmarks = self.find_landmarks
        if (beside := path.with_suffix(UNITS)).is_file():
            clip.find_action_units = lambda _: units_in(beside)
        return clip


@dataclass(frozen=True)
class Layout:
    """How a corpus lies on disk."""

    title: str  # for people
    knows: Callable[[Path], bool]  # whether a folder is one; looks at as little as it can
    read: Callable[[Path, Tools, str], Sequence[Clip]]  # those of a split, where the corpus has splits


CORPORA: Registry[Layout] = Registry("corpus", package="neural_render.corpora.layouts")
"""Layouts by name. "folder" knows every folder of clips, and is asked last."""


@dataclass(frozen=True)
class Later:
    """A file's frames, opened anew whenever they are asked for: thousands of files aren't held open."""

    open: Callable[[Path], object]
    path: Path
    frame_count: int | None

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.open(self.path))

    def __getattr__(self, name: str):
        if name.startswith("_"):  # of copying and pickling
            raise AttributeError(name)
        return getattr(self.open(self.path), name)


def layout_of(path: Path) -> str:
    """The name of a folder's layout. PortraitError for what isn't a folder."""
    if not path.is_dir():
        raise PortraitError(f"corpus '{path}': expected a folder, found {'a file' if path.exists() else 'nothing'}")
    for name in (*(n for n in CORPORA if n != "folder"), "folder"):
        if CORPORA[name].knows(path):
            return name
    raise PortraitError(f"corpus '{path}': holds no clips and no pictures; see docs/corpus.md for what can be read")


def read_corpus(path: Path, tools: Tools, *, split: str = "train", weight: float = 1.0) -> list[Clip]:
    """The clips of a corpus, in the order of their files. ``split``: only those, of a corpus that has splits.

    weight: of the whole corpus, however many clips it has. PortraitError for a folder that isn't one, and for none.
    """
    if not weight > 0 or weight == float("inf"):
        raise PortraitError(f"corpus '{path}': expected a weight above 0, got {weight:g}")
    path = Path(path)
    clips = list(CORPORA[layout_of(path)].read(path, tools, split))
    if not clips:
        raise PortraitError(f"corpus '{path}': has no clips in the split '{split}'; give another corpus")
    return [replace(clip, weight=weight / len(clips)) for clip in clips]


def files_of(path: Path, endings: Sequence[str]) -> list[Path]:
    """A folder's files with one of these endings, sub-folders' too, in the order of their paths; no hidden ones."""
    found = (p for p in path.rglob("*") if p.suffix.lower() in endings and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts))


def has_one(path: Path, endings: Sequence[str], name: re.Pattern | None = None) -> bool:
    """Whether the first such file that is come across is named as ``name`` has it, or whether there is one at all."""
    first = next((p for p in path.rglob("*") if p.suffix.lower() in endings and not p.name.startswith(".")), None)
    return first is not None and (name is None or bool(name.fullmatch(first.stem)))


def size_of(path: Path) -> int:
    """Bytes of a file, or of a folder's files."""
    return sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else path.stat().st_size


def units_in(path: Path) -> ActionUnits:
    """Action units of a csv in OpenFace's columns; NaN where it found no face."""
    names, values = read_units(path)
    return ActionUnits(names, values.astype(np.float32))


def read_json(path: Path, what: str) -> dict:
    """A JSON object. PortraitError where it can't be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PortraitError(f"{what} '{path}': can't be read ({error}); make it again") from None
    if not isinstance(found, dict):
        raise PortraitError(f"{what} '{path}': expected an object, found another kind; make it again")
    return found
