"""What a busy machine costs: `portrait fit` and `portrait train` beside one and two processes that keep a core busy.

    python -m benchmarks.busy [--seconds 20] [--repeats 1] [--video FILE]

The real commands on a short clip, each in a process of its own, with the threads that a user has by default. A fit is
timed from start to end, everything included; a training by its own count of steps and seconds. Busy processes end with
the command they are beside, or after two minutes. The last line is one JSON object: ``fit`` (frames a second) and
``train`` (steps a second) when ``quiet``, and the share of that speed beside ``one`` and ``two`` busy processes; each
the best of the repeats. What else runs on the machine counts as well: ``load`` is its load average at the beginning.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from foundation.tensors import read_header

LONGEST = 120  # seconds that a busy process lives at most
BESIDE = ("quiet", "one", "two")


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that count, each able to fill a core."""
    code = f"import time\nend = time.monotonic() + {LONGEST}\nwhile time.monotonic() < end: pass"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def portrait(*arguments: object) -> float:
    """Seconds that a command took. CalledProcessError, with its words, where it failed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    began = time.perf_counter()
    command = [sys.executable, "-m", "portrait", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return time.perf_counter() - began


def fit_speed(video: Path, folder: Path, name: str) -> float:
    """Frames a second of a whole fit."""
    from facemodel import Track

    track = folder / f"{name}.track"
    seconds = portrait("fit", video, "-o", track)
    return len(Track.load(track)) / seconds


def train_speed(video: Path, track: Path, weights: Path, seconds: float) -> float:
    """Steps a second of a training from the start; the clip's maps are those of an earlier one into the same files."""
    (weights.with_name(weights.name + ".work") / "checkpoint.safetensors").unlink(missing_ok=True)
    portrait("train", track, video, "-o", weights, "--minutes", seconds / 60, "--device", "cpu")
    header = read_header(weights, "weights", "")
    return header["steps"] / header["seconds"]


def measure(video: Path, seconds: float, repeats: int) -> dict[str, dict[str, float]]:
    """Speeds by command and by what was beside it."""
    best: dict[str, dict[str, float]] = {"fit": {}, "train": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit_speed(video, folder, "first")  # compiles what numba compiles, and reads everything into memory
        train_speed(video, folder / "first.track", folder / "w.safetensors", 1.0)
        for repeat in range(repeats):
            for count, beside in enumerate(BESIDE):
                with busy(count):
                    fit = fit_speed(video, folder, f"{beside}-{repeat}")
                with busy(count):
                    train = train_speed(video, folder / "first.track", folder / "w.safetensors", seconds)
                print(f"{beside}: fit {fit:.1f} frames a second, train {train:.2f} steps a second", flush=True)
                for job, speed in (("fit", fit), ("train", train)):
                    best[job][beside] = max(speed, best[job].get(beside, 0.0))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each training")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--video", type=Path, help="a clip in place of the demo's")
    o = parser.parse_args()
    load = os.getloadavg()[0]
    from portrait.video.sample import carphone

    speeds = measure(o.video or Path(carphone()), o.seconds, o.repeats)
    summary: dict = {"load": round(load, 2), "cores": os.cpu_count()}
    for job, found in speeds.items():
        shares = {beside: round(found[beside] / found["quiet"], 3) for beside in BESIDE[1:]}
        summary[job] = {"quiet": round(found["quiet"], 2), **shares}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
