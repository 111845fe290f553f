"""What lies in a job's folder: what can't be read, how far it is, what was there and is lost."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from benchmarks.kills_jobs import Job
from foundation.errors import PortraitError


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with the time of its last change and its size; files may come and go meanwhile."""
    found, waiting = {}, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        stat = entry.stat()
                        found[os.path.relpath(entry.path, folder)] = (stat.st_mtime_ns, stat.st_size)
        except FileNotFoundError:
            continue
    return found


def is_partial(name: str) -> bool:
    """Whether a file is one that isn't there yet: it or a folder around it is called ``.partial``."""
    return any(part.endswith(".partial") for part in Path(name).parts)


def unreadable(path: Path) -> str | None:
    """Why a file can't be read to its end, if it can't. Logs that grow and caches with an index are left alone."""
    try:
        _READERS.get(path.suffix.lower(), lambda _: None)(path)
    except Exception as error:  # whatever a library makes of half a file
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return None


def _tensors(path: Path) -> None:
    from safetensors.torch import load_file

    load_file(path)


def _table(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n") or len({len(row) for row in csv.reader(text.splitlines())}) != 1:
        raise ValueError("no whole table")


def _picture(path: Path) -> None:
    if cv2.imread(str(path)) is None:
        raise ValueError("no whole picture")


def _video(path: Path) -> None:
    from portrait.video import VideoReader

    reader = VideoReader(path)
    if sum(1 for _ in reader) != reader.frame_count:
        raise ValueError("no whole video")


_READERS: dict[str, Callable[[Path], object]] = {
    ".safetensors": _tensors, ".json": lambda path: json.loads(path.read_text()), ".csv": _table, ".png": _picture,
    ".mp4": _video,
}  # fmt: skip


def half_written(folder: Path) -> list[str]:
    """What lies in a folder and can't be read, with reasons. ``.partial`` files, which nothing reads, don't count."""
    found = []
    for name in files_of(folder):
        if not is_partial(name) and (why := unreadable(folder / name)):
            found.append(f"{name}: {why}")
    for table in folder.rglob("track.json"):
        try:
            _load_track(table.parent)
        except PortraitError as error:
            found.append(str(error))
    return found


def _load_track(folder: Path) -> None:
    from facemodel import Track

    Track.load(folder)


def progress_of(folder: Path) -> dict[str, int]:
    """How far each checkpoint in a folder is: steps of a training, frames of a fit."""
    from safetensors import SafetensorError, safe_open

    found = {}
    for path in folder.rglob("*.safetensors"):
        try:
            with safe_open(path, "pt") as file:
                header = json.loads((file.metadata() or {}).get("header", "{}"))
        except (SafetensorError, OSError, ValueError):
            continue
        if header.get("kind") == "checkpoint" and path.name == "checkpoint.safetensors":
            found[str(path.relative_to(folder))] = header["step"]
        elif "times" in header:
            found[str(path.relative_to(folder))] = len(header["times"])
    return found


@dataclass(frozen=True)
class Seen:
    """What a job had finished at some moment."""

    files: dict[str, tuple[int, int]]
    once: dict[str, tuple[int, int]]  # of these, what is never made anew
    progress: dict[str, int]

    @classmethod
    def at(cls, folder: Path, job: Job) -> Seen:
        files = {name: facts for name, facts in files_of(folder).items() if not is_partial(name)}
        once = {name: facts for name, facts in files.items() if job.once and Path(name).match(job.once)}
        return cls(files, once, progress_of(folder))


def lost(before: Seen, after: Seen) -> list[str]:
    """What was there before and isn't any more, or was made again."""
    found = []
    for name in before.files:
        if name not in after.files and not _of_a_finished_fit(name, after):
            found.append(f"{name} is gone")
    found += [f"{name} was made again" for name, facts in before.once.items() if after.once.get(name, facts) != facts]
    for name, done in before.progress.items():
        if after.progress.get(name, done) < done:
            found.append(f"{name} fell back from {done} to {after.progress[name]}")
    return found


def _of_a_finished_fit(name: str, seen: Seen) -> bool:
    """Whether a file was needed to go on with a fit that is done."""
    work = Path(name).parent
    return work.suffix == ".work" and str(work.with_suffix("") / "track.json") in seen.files
