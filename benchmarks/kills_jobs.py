"""The commands that `benchmarks.kills` kills, made tiny, and their inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2

ROOT = Path(__file__).parents[1]  # of the project: jobs run in folders of their own
NETWORK = """
[model]
backbone = "resnet20"
features = 16
width = 4
height = 32
width_px = 32
"""
"""The smallest network, as an experiment's settings have it."""
SETTINGS = """
[data]
folder = "{folder}"
{network}
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
    (folder / "experiment.toml").write_text(SETTINGS.format(folder=folder / "faces", network=NETWORK), encoding="utf-8")
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
