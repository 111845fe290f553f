"""How fast a clip is tracked, decoding, landmarks and key frames included, and whether memory grows with its length.

    python -m benchmarks.tracking VIDEO [--frames 2000] [--compare] [--eos MODEL_FOLDER]
    python -m benchmarks.tracking VIDEO --model FILE

A clip shorter than that is repeated. The last line is one JSON object: ``fps`` (all frames over all the time after
start-up, both passes and the solve for identity included), ``rss_ratio`` (peak memory of the whole clip over that of
its first tenth, each in a process of its own), and milliseconds a stage and frame (``ms``): ``survey`` is the first
pass, for key frames, ``identity`` the solution over them, ``tracking`` the second pass, in which ``solver`` runs on one
thread while ``decoding``, ``landmarks`` and ``pyramid`` run ahead of it on another.

``--compare`` times the field's usual way as well, see `benchmarks.adam`, on a frame of middling, a frame of more and
the frame of most motion: ``speedup_vs_adam`` is its time a frame over our solver's, neither with landmarks.
``--eos`` times landmark fits, see `benchmarks.eos_fit`.
``--model`` measures nothing but what a frame costs the solver with another face model over what it costs with the
default one, ``model_ratio``: see `benchmarks.frame_cost`. "split:N" is the default model with its triangles split until
it has N vertices or more.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import facemodel
import fitting
from benchmarks.adam import descend, moving_frames
from benchmarks.eos_fit import SCHEME, EosFit, compare
from benchmarks.frame_cost import frame_costs, look, split
from foundation.errors import PortraitError
from portrait.video import VideoReader
from renderer import Camera

MODELLED = 100  # frames at most, with another model
COMPARED = 100  # frames, from the start, of which the others' are chosen


class Repeated:
    """The first ``count`` frames of a clip, from its start again where it is shorter."""

    def __init__(self, frames, count: int) -> None:
        self.frames, self.frame_count = frames, count
        self.width, self.height, self.fps = frames.width, frames.height, frames.fps

    def __iter__(self):
        index = 0
        while index < self.frame_count:
            for _, _, picture in self.frames:
                yield index, index / self.fps, picture
                index += 1
                if index == self.frame_count:
                    return


def one_run(video: str, count: int) -> dict:
    model = facemodel.load()
    reader = VideoReader(video)
    fitting.fit_video(Repeated(reader, 4), model=model)  # start-up: compiled code, detector graphs
    begun = time.perf_counter()
    track = fitting.fit_video(Repeated(reader, count), model=model)
    seconds = time.perf_counter() - begun
    return {
        "frames": len(track),
        "tracked": int(track.tracked.sum()),
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "stages": track.facts["timings"],
    }


def memory_and_speed(video: str, frames: int) -> dict:
    """Both lengths, each in a process of its own."""
    runs = []
    for count in (max(1, frames // 10), frames):
        command = [sys.executable, "-m", "benchmarks.tracking", video, "--frames", str(count), "--one"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        runs.append(json.loads(out.splitlines()[-1]))
        run = runs[-1]
        print(f"{run['frames']} frames, {run['tracked']} tracked: {run['seconds']:.2f} s, peak {run['peak_mb']:.0f} MB")
    short, long = runs
    milliseconds = {k: round(1000 * v / long["frames"], 2) for k, v in long["stages"].items()}
    for stage, value in milliseconds.items():
        print(f"  {stage:<12} {value:7.2f} ms a frame")
    return {
        "fps": round(long["frames"] / long["seconds"], 2),
        "rss_ratio": round(long["peak_mb"] / short["peak_mb"], 4),
        "peak_mb": round(long["peak_mb"], 1),
        "frames": long["frames"],
        "ms": milliseconds,
    }


def comparisons(video: str, with_adam: bool, eos_fit) -> dict:
    """Other ways on the clip's first frames, and our solver's time on the same."""
    model, reader = facemodel.load(), VideoReader(video)
    first = Repeated(reader, COMPARED)
    fitting.fit_video(Repeated(reader, 4), model=model)
    track = fitting.fit_video(first, model=model)
    out: dict = {}
    if with_adam:
        ours = 1000 * track.facts["timings"]["solver"] / len(track)
        chosen = moving_frames(track)
        runs = [descend(model, track, k, picture) for k, _, picture in first if k in chosen]
        theirs = [1000 * r.seconds for r in runs]
        table = Table("frame", "energy before", "ours", "Adam's", "iterations", "ours, ms", "Adam, ms")
        for r, spent in zip(runs, theirs):
            capped = "" if r.reached <= r.ours else " (stopped before)"
            values = (f"{e:.2f}" for e in (r.start, r.ours, r.reached))
            table.add_row(str(r.frame), *values, f"{r.iterations}{capped}", f"{ours:.1f}", f"{spent:.0f}")
        Console(width=100).print(table)
        out["speedup_vs_adam"] = round(sum(theirs) / len(theirs) / ours, 1)
        out["adam"] = {"ms": theirs, "ours_ms": ours, "runs": [asdict(r) for r in runs]}
    if eos_fit:
        p, camera = track.parameters.expanded(), Camera(float(track.parameters.focal), track.width, track.height)
        with torch.inference_mode():
            points = p.landmarks(model, camera, SCHEME)[track.tracked][:20]
        torch.set_num_threads(1)  # eos has one
        out["eos"] = compare(eos_fit, model, track, points.double().numpy())
        table = Table("landmark fit of 68 points", "ms a picture", "what it fits")
        rows = {
            "ours, a picture alone": ("landmarks_ms", "pose, focal length, identity, expression, gaze"),
            "ours, a clip's frame": ("clip_ms", "pose, expression, gaze; identity once"),
            "eos": ("eos_ms", "pose (orthographic), identity, expression, contours"),
        }
        for who, (name, fits) in rows.items():
            table.add_row(who, f"{out['eos'][name]:.1f}", fits)
        Console(width=100).print(table)
    return out


def model_cost(video: str, count: int, source: str) -> dict:
    """What a frame costs with a model, over the default's."""
    default, reader = facemodel.load(), VideoReader(video)
    model = split(default, int(source[6:])) if source.startswith("split:") else facemodel.load(source)
    seen = look(Repeated(reader, count), (reader.width, reader.height), 1 / reader.fps)
    costs = frame_costs((default, model), seen)
    table = Table("model", "vertices", "identity", "expression", "joints", "ms a frame")
    for m, cost in zip((default, model), costs):
        numbers = len(m.mean), *(m.count(b) for b in ("identity", "expression", "joints"))
        table.add_row(m.name, *(f"{n:,}" for n in numbers), f"{cost:.2f}")
    Console(width=100).print(table)
    ratio, vertices = round(costs[1] / costs[0], 3), len(model.mean)
    return {"model_ratio": ratio, "vertices": vertices, "ms": [round(c, 2) for c in costs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--compare", action="store_true", help="time Adam through PyTorch3D on some of the frames")
    parser.add_argument("--eos", type=Path, metavar="MODEL_FOLDER", help="time eos's landmark fit with its own model")
    parser.add_argument("--model", metavar="FILE", help="a frame's cost with this face model, over the default's")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_run(options.video, options.frames)))
        return
    try:
        if options.model:
            print(json.dumps(model_cost(options.video, min(options.frames, MODELLED), options.model)))
            return
        eos_fit = EosFit(options.eos) if options.eos else None
        line = memory_and_speed(options.video, options.frames)
        if options.compare or eos_fit:
            line |= comparisons(options.video, options.compare, eos_fit)
    except PortraitError as error:
        parser.error(str(error))
    print(json.dumps(line))


if __name__ == "__main__":
    main()
