"""What a kill costs: commands are killed (SIGKILL) at random moments and run again until they are through.

    python -m benchmarks.kills [--kills 40] [--seed 0] [--minutes 40] [--commands fit,train,...] [--keep FOLDER]

Each job is a real command in a process of its own, made tiny: a few frames of the installed demo clip, some steps of
training at 64 px. A moment is a time, a change in the job's folder, or the appearance of a ``.partial`` file; half of
the kills hit the process alone, so that its workers have to notice by themselves, half hit all of its processes, as a
crash of the machine would. After at most three kills the same command runs to its end.

The last line is one JSON object: ``kills`` that were made in the time there was, and what they cost, in all and by
command. ``lost``: what was finished is gone, made anew, or a training or a fit fell back behind what it had saved.
``half_written``: files that can't be read, other than ``.partial`` ones. ``failed``: the command didn't end with exit
code 0 and a readable result when it was run again; ``finished``: how often it did. ``left_running``: a process that was
still there ten seconds after the one that had started it was killed. ``short`` of kills: the minutes were over.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2

from foundation.errors import PortraitError

ROOT = Path(__file__).parents[1]  # of the project: jobs run in folders of their own
POLL = 0.01  # seconds between two looks at a job's folder
LEAVE = 10.0  # seconds that workers have to notice that they are alone
CHAIN = 3  # kills of one job at most, before it is let through
COUNTED = ("kills", "finished", "lost", "half_written", "failed", "left_running")

SETTINGS = """
[data]
folder = "{folder}"
[model]
backbone = "resnet20"
features = 16
width = 4
height = 32
width_px = 32
[loss]
head = "softmax"
[training]
iterations = 40
batch = 8
rate = 0.05
workers = 1
checkpoint_every = 5
seeds = [0, 1]
"""


@dataclass(frozen=True)
class Job:
    """A command, run in a folder of its own."""

    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]  # that are there in the end, relative to the folder
    once: str = ""  # a glob of files that are never made anew once they are there


@dataclass
class Cost:
    """What was counted for a command."""

    kills: int = 0
    finished: int = 0
    lost: int = 0
    half_written: int = 0
    failed: int = 0
    left_running: int = 0
    length: float = field(default=25.0)  # seconds that a run takes, as far as is known
    changes: int = field(default=8)  # of its folder in a run


# -- the jobs ---------------------------------------------------------------------------------------------------------


def make_inputs(folder: Path) -> None:
    """Clips, pictures of four identities and an experiment, from the demo's clip."""
    from portrait.video import VideoReader, VideoWriter
    from portrait.video.sample import carphone

    frames = [frame for _, _, frame in VideoReader(carphone())]
    height, width = frames[0].shape[:2]
    for name, first in (("a", 0), ("b", 50), ("c", 100)):
        (folder / "clips").mkdir(parents=True, exist_ok=True)
        with VideoWriter(folder / "clips" / f"{name}.mp4", width, height, 25.0) as writer:
            for frame in frames[first : first + 5]:
                writer.write(frame)
    for identity in range(4):
        (folder / "faces" / f"{identity}").mkdir(parents=True)
        for k in range(4):
            crop = frames[5 * k][:, 16 * identity : 16 * identity + 96, ::-1]
            cv2.imwrite(str(folder / "faces" / f"{identity}" / f"{k}.png"), cv2.resize(crop, (64, 64)))
    (folder / "experiment.toml").write_text(SETTINGS.format(folder=folder / "faces"), encoding="utf-8")
    (folder / "one").mkdir()
    shutil.copy(folder / "clips" / "b.mp4", folder / "one" / "b.mp4")


def make_track(folder: Path) -> None:
    """The track of the first clip."""
    command = [*portrait(), "fit", "clips/a.mp4", "-o", "a.track", "--quality", "fast", "--device", "cpu"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment())


def all_jobs(inputs: Path) -> list[Job]:
    """Every command that works for long."""
    clips = inputs / "clips"
    cpu, small = ("--device", "cpu"), ("--size", "64", "--width", "4", "--minutes", "0.05")
    fast = ("--quality", "fast", *cpu)
    pair = ("--source", str(clips / "b.mp4"), "--target", str(clips / "a.mp4"))
    track = (str(inputs / "a.track"), str(clips / "a.mp4"))
    people = ("--identities", "4", "--pictures", "2", "--size", "64", "--processes", "2")
    return [
        Job("recognize train", ("recognize", "train", str(inputs / "experiment.toml"), "-o", "run", *cpu),
            ("run/seed-0/weights.safetensors", "run/seed-1/weights.safetensors")),
        Job("fit", ("fit", str(clips / "a.mp4"), "-o", "a.track", *fast), ("a.track",), "*.track/*"),
        Job("synthesize-dataset", ("synthesize-dataset", "-o", "set", *people),
            ("set/metadata.csv", "set/00003/001.png"), "set/[0-9]*[0-9]/*"),
        Job("train", ("train", *track, "-o", "w.safetensors", *small, *cpu), ("w.safetensors",)),
        Job("batch fit", ("fit", str(clips), "-o", "tracks", *fast),
            ("tracks/a.track", "tracks/b.track", "tracks/c.track", "tracks/summary.csv"), "tracks/*.track/*"),
        Job("uv-train", ("uv-train", str(inputs / "one"), "-o", "uv.safetensors", "--synthetic", "2", *small, *cpu),
            ("uv.safetensors",), "uv.safetensors.work/tracks/*/track.*"),
        Job("reenact", ("reenact", *pair, "-o", "out.mp4", *small, *fast),
            ("out.mp4",), "out.mp4.work/target.track/*"),
    ]  # fmt: skip


def portrait() -> list[str]:
    return [sys.executable, "-m", "portrait"]


def environment() -> dict[str, str]:
    """With this project's code, in whatever folder a job runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# -- what lies in a folder --------------------------------------------------------------------------------------------


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


# -- kills ------------------------------------------------------------------------------------------------------------


def living(group: int) -> list[int]:
    """Processes of a group that are still at work (Linux)."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = place.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(int(place.parent.name))
    return found


def moments(chance: random.Random, cost: Cost, folder: Path) -> Iterator[bool]:
    """Looked at again and again while a command runs; True when it is to be killed."""
    kind = chance.choice(["time", "change", "partial"])
    began, after = time.monotonic(), chance.uniform(0, cost.length)
    wanted = chance.randint(1, cost.changes if kind == "change" else 3)
    more, hit = chance.uniform(0, 0.3), 0.0
    seen, changes = files_of(folder), 0
    while True:
        now = files_of(folder)
        if kind == "partial":
            changes += len([name for name in now if is_partial(name) and name not in seen])
        else:
            changes += now != seen
        seen = now
        if kind != "time" and changes >= wanted and not hit:
            hit = time.monotonic() + (more if kind == "change" else 0.0)
        yield time.monotonic() - began > after if kind == "time" else 0 < hit <= time.monotonic()


def run(job: Job, folder: Path, cost: Cost, chance: random.Random | None, end: float) -> int | None:
    """Runs a job, killed at a moment by chance where ``chance`` is given; its exit code, None where it was killed."""
    moment = iter(lambda: False, True) if chance is None else moments(chance, cost, folder)
    words = folder.with_suffix(".words")
    began, before, changes = time.monotonic(), files_of(folder), 0
    with open(words, "w") as file:
        process = subprocess.Popen(
            [*portrait(), *job.arguments], cwd=folder, stdout=file, stderr=file, start_new_session=True,
            env=environment(),
        )  # fmt: skip
    try:
        while process.poll() is None:
            if next(moment) or time.monotonic() > end:
                _kill(process, cost, alone=chance is not None and chance.random() < 0.5)
                return None
            now = files_of(folder)
            before, changes = now, changes + (now != before)
            time.sleep(POLL)
    finally:
        if living(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    cost.length, cost.changes = max(time.monotonic() - began, 1.0), max(changes, 4)
    if process.returncode:
        print(f"  {job.name}: exit code {process.returncode}: {words.read_text()[-600:].strip()}", flush=True)
    return process.returncode


def _kill(process: subprocess.Popen, cost: Cost, alone: bool) -> None:
    """Kills a command, or its whole group; counts who is left of it."""
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + LEAVE
    while living(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    if left := living(process.pid):
        cost.left_running += 1
        print(f"  {len(left)} processes are left", flush=True)
        os.killpg(process.pid, signal.SIGKILL)


def look(job: Job, folder: Path, cost: Cost, before: Seen | None) -> Seen:
    """Counts what a run, killed or not, has spoilt."""
    seen = Seen.at(folder, job)
    for what, found in (("half_written", half_written(folder)), ("lost", lost(before, seen) if before else [])):
        setattr(cost, what, getattr(cost, what) + bool(found))
        for line in found:
            print(f"  {job.name}: {what}: {line}", flush=True)
    return seen


def chain(job: Job, folder: Path, cost: Cost, chance: random.Random, kills: int, end: float) -> int:
    """Kills a job at most so many times, then lets it through; the kills that were made."""
    folder.mkdir(parents=True)
    done, seen, code = 0, None, None
    while done < kills and code is None and time.monotonic() < end:
        code = run(job, folder, cost, chance, end)
        if code is None and time.monotonic() < end:
            done, cost.kills = done + 1, cost.kills + 1
            seen = look(job, folder, cost, seen)
    if code is None and time.monotonic() < end:
        code = run(job, folder, cost, None, end)
    if code is None:  # the time was over
        return done
    look(job, folder, cost, seen)
    whole = code == 0 and all(readable(folder / name) for name in job.results)
    cost.finished, cost.failed = cost.finished + whole, cost.failed + (not whole)
    return done


def readable(path: Path) -> bool:
    """Whether a result is there and whole."""
    if path.is_dir():
        return not half_written(path) and (path / "track.json").is_file()
    return path.is_file() and unreadable(path) is None


def measure(
    kills: int, seed: int, minutes: float, names: list[str] | None, root: Path
) -> tuple[dict[str, Cost], float]:
    """Costs by command, and the minutes that were spent."""
    began = time.monotonic()
    end = began + 60 * minutes
    make_inputs(root / "inputs")
    jobs = [job for job in all_jobs(root / "inputs") if names is None or job.name in names]
    if any(job.name == "train" for job in jobs):
        make_track(root / "inputs")
    costs, chance, number = {job.name: Cost() for job in jobs}, random.Random(seed), 0
    left = kills
    while left > 0 and time.monotonic() < end:
        job = jobs[number % len(jobs)]
        cost, folder = costs[job.name], root / f"{job.name.replace(' ', '-')}-{number}"
        done = chain(job, folder, cost, chance, min(left, chance.randint(1, CHAIN)), end)
        left, number = left - done, number + 1
        said = ", ".join(f"{what} {getattr(cost, what)}" for what in COUNTED)
        print(f"{(time.monotonic() - began) / 60:.1f} min, {job.name}: {said}", flush=True)
        if not (cost.lost or cost.half_written or cost.failed):
            shutil.rmtree(folder, ignore_errors=True)
    return costs, (time.monotonic() - began) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=40.0, help="at most so long")
    parser.add_argument("--commands", help="only these, with commas between")
    parser.add_argument("--keep", type=Path, help="a new folder for what the jobs leave; else it is thrown away")
    o = parser.parse_args()
    names = None if o.commands is None else o.commands.split(",")
    known = [job.name for job in all_jobs(Path())]
    if unknown := [name for name in names or [] if name not in known]:
        parser.error(f"--commands: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    root = Path(tempfile.mkdtemp()) if o.keep is None else o.keep.absolute()
    try:
        costs, minutes = measure(o.kills, o.seed, o.minutes, names, root)
    finally:
        if o.keep is None:
            shutil.rmtree(root, ignore_errors=True)
    rows = {name: {what: asdict(cost)[what] for what in COUNTED} for name, cost in costs.items()}
    summary = {what: sum(row[what] for row in rows.values()) for what in COUNTED}
    short = max(o.kills - summary["kills"], 0)
    print(json.dumps({**summary, "short": short, "minutes": round(minutes, 1), "by_command": rows}))


if __name__ == "__main__":
    main()
