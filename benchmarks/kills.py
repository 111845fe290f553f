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
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.kills_folder import Seen, files_of, half_written, is_partial, lost, unreadable
from benchmarks.kills_jobs import Job, all_jobs, environment, make_inputs, make_track, portrait

POLL = 0.01  # seconds between two looks at a job's folder
LEAVE = 10.0  # seconds that workers have to notice that they are alone
CHAIN = 3  # kills of one job at most, before it is let through
COUNTED = ("kills", "finished", "lost", "half_written", "failed", "left_running")


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
