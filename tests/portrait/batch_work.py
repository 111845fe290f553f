"""Work for the batch's workers: some that costs nothing and can go wrong in every way, and the real one, watched."""

import csv
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from foundation.progress import Event
from portrait.batch.work import Clip, Row, failed


def clips_named(folder: Path, *names: str) -> list[Clip]:
    return [Clip(name, folder / name, folder / f"{name}.track") for name in names]


def starts(clip: Clip) -> list[int]:
    """The process of every start of work on a clip."""
    path = clip.track.with_suffix(".starts")
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def wait_until(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def table(path: Path) -> dict[str, dict]:
    with open(path, newline="") as file:
        return {row["clip"]: row for row in csv.DictReader(file)}


def note_start(clip: Clip) -> None:
    with open(clip.track.with_suffix(".starts"), "a") as file:
        file.write(f"{os.getpid()}\n")


def act(clip, send):
    """What the clip's name says."""
    send(Event("tracking", 0, 2))
    note_start(clip)
    if clip.name == "dies" or (clip.name == "dies once" and len(starts(clip)) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if clip.name == "leaves":
        sys.exit(7)
    if clip.name == "sleeps":
        time.sleep(60)
    if clip.name == "can't":
        return failed(clip, "no\nface")
    threads = [os.environ[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")]
    return replace(Row(clip.name, clip.track_name, "fitted"), error=",".join(threads))


def solve(clip, send, options, setup):
    """In the real work's place: longer than between two looks at what tasks tell, for nothing."""
    note_start(clip)
    for _ in range(30):
        send(Event("solving for identity", 0, 1))
        time.sleep(0.1)
    return replace(Row(clip.name, clip.track_name, "fitted"), frames=1)
