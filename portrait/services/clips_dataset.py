"""``portrait synthesize-dataset --clips``: people who don't exist doing what others of them do, with the truth beside.

    metadata.csv                a row a clip: file, person, performance, split, frames, fps
    00012/person.json           hair, glasses
    00012/p0003.mp4             person 12 in performance 3; or a folder p0003 of frames, 000000.png, ...
    00012/p0003.track           its truth as a track: parameters, and MediaPipe's 478 points on the true surface
    00012/p0003.aus.csv         its action units, in OpenFace's columns

`neural_render.corpora.layouts.synthetic` reads it. A person's split is theirs alone. People to be tested on do the
first performances, all the same ones; those to train on others, by chance.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from facemodel import FrameStatus, PortraitError, Track
from facemodel.editing.openface import write_units
from foundation.atomic import replace_folder, write_csv, write_file
from foundation.progress import Event, Report, ignore
from portrait.files import synthetic_note
from portrait.services.checks import MOST, check_names, check_number
from portrait.services.dataset import TEXELS, begin_process, settle_folder
from portrait.services.setup import Setup
from portrait.tracks import load_track
from portrait.video import VideoWriter
from portrait.video.png import write_picture
from portrait.video.source import file_hash
from synthetic import SkinAtlas
from synthetic.takes import Look, Performance, make_look, make_performance, parameters_of, performance_of, take

FORMS = ("mp4", "frames")
COLUMNS = ("file", "person", "performance", "split", "frames", "fps")
CRF = 12  # of H.264: what a decoder makes of it is within the camera's noise


@dataclass(frozen=True)
class ClipPlan:
    """What decides every pixel of a data set, but for how many people there are."""

    seed: int
    clips: int  # of each person
    performances: int  # that there are in all
    frames: int
    fps: float
    size: int  # px of the square frames
    test: float  # share of the people in the split "test"
    form: str
    tracks: tuple[str, ...] = ()  # SHA-256 of the tracks that every second performance is taken from

    def split(self, person: int) -> str:
        chance = np.random.default_rng([self.seed, person, 6]).random()
        return "test" if chance < self.test else "train"

    def performances_of(self, person: int) -> list[int]:
        """Which ones somebody does."""
        if self.split(person) == "test" or self.performances == self.clips:
            return list(range(self.clips))
        left = np.arange(min(self.clips, self.performances - self.clips), self.performances)
        draw = np.random.default_rng([self.seed, person, 12])
        return sorted(draw.choice(left, self.clips, replace=False).tolist())


@dataclass(frozen=True)
class ClipOptions:
    """What is drawn."""

    identities: int = 100
    clips: int = 8  # of each
    performances: int | None = None  # in all; None: as many as clips of each, so that everybody does all
    frames: int = 48
    fps: float = 12.5
    seed: int = 0  # another one is other people who do other things
    test: float = 0.1  # share of the people in the split "test"
    size: int = 128
    form: str = "mp4"
    tracks: tuple[Path, ...] = ()  # of real clips: every second performance is a stretch of one
    pairs: tuple[tuple[int, int], ...] = ()  # of a person and a performance that are wanted too
    shard: tuple[int, int] = (0, 1)  # only every so manieth person, from that one on
    processes: int | None = None  # None: one a core

    def check_numbers(self) -> None:
        """Raises PortraitError for a number out of its range."""
        check_number("identities", self.identities, 1, 99_999)
        check_number("clips", self.clips, 1, 999)
        check_number("performances", self.performances, self.clips, 9999)
        check_number("frames", self.frames, 1, 100_000)
        check_number("fps", self.fps, 1, 240)
        check_number("seed", self.seed, 0, MOST)
        check_number("test", self.test, 0, 1)
        check_number("size", self.size, 32, 1024, unit=" pixels")
        check_number("processes", self.processes, 1, 1024)

    def check(self) -> None:
        """Raises PortraitError for what can't be drawn."""
        self.check_numbers()
        check_names("form", [self.form], FORMS)
        if self.size % 2 and self.form == "mp4":
            raise PortraitError(f"--size: expected an even number of pixels for mp4, got {self.size}; or --form frames")
        if not 0 <= self.shard[0] < self.shard[1]:
            raise PortraitError(f"--shard: expected K/N with K from 1 to N, got {self.shard[0] + 1}/{self.shard[1]}")
        most = self.performances or self.clips
        for person, performance in self.pairs:
            if not (0 <= person < self.identities and 0 <= performance < most):
                raise PortraitError(
                    f"--pair {person}:{performance}: expected a person below {self.identities} and a performance below "
                    f"{most}"
                )

    @property
    def plan(self) -> ClipPlan:
        """What decides every pixel."""
        hashes = tuple(file_hash(path / "track.safetensors") for path in self.tracks)
        return ClipPlan(
            self.seed, self.clips, self.performances or self.clips, self.frames, self.fps, self.size, self.test,
            self.form, hashes,
        )  # fmt: skip


@dataclass(frozen=True)
class ClipDataset:
    """A folder of clips of people who don't exist."""

    path: Path
    clips: int  # that lie there
    people: int
    drawn: int  # clips that weren't there yet

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [
            f"{self.path}: {self.clips} clips of {self.people} people who don't exist ({self.drawn} drawn now); "
            "metadata.csv says who does what, tracks beside the clips are the truth"
        ]


@dataclass(frozen=True)
class _Job:
    """What a process needs to know."""

    output: Path
    plan: ClipPlan
    tracks: tuple[Path, ...]
    setup: Setup


def synthesize_clips(
    output: Path, options: ClipOptions = ClipOptions(), *, setup: Setup = Setup(), report: Report = ignore
) -> ClipDataset:
    """Draws what isn't there yet, then writes metadata.csv. PortraitError for a folder of other settings."""
    options.check()
    setup = setup.started()
    for path in options.tracks:
        load_track(path, setup.face_model("cpu"))
    job = _Job(output, options.plan, options.tracks, setup)
    settle_folder(output, job.plan, setup)
    wanted = {
        k: set(job.plan.performances_of(k)) for k in range(options.shard[0], options.identities, options.shard[1])
    }
    for person, performance in options.pairs:
        wanted.setdefault(person, set()).add(performance)
    missing = {k: sorted(p for p in todo if not is_there(output, k, p)) for k, todo in wanted.items()}
    missing = {k: todo for k, todo in missing.items() if todo}
    count, there = sum(map(len, missing.values())), sum(map(len, wanted.values()))
    done = there - count
    report(Event("clips", done, there, "clips"))
    for drawn in draw_people(job, missing, min(options.processes or os.cpu_count() or 1, max(len(missing), 1))):
        done += drawn
        report(Event("clips", done, there, "clips"))
    rows = list(rows_of(output, job.plan))
    write_csv(output / "metadata.csv", [COLUMNS, *rows], "data set")
    return ClipDataset(output, len(rows), len({row[1] for row in rows}), count)


def clip_path(output: Path, person: int, performance: int) -> Path:
    """Of a clip, without the ending of its files."""
    return output / f"{person:05d}" / f"p{performance:04d}"


def is_there(output: Path, person: int, performance: int) -> bool:
    """Whether a clip is whole: its track is written last."""
    return (clip_path(output, person, performance).with_suffix(".track") / "track.json").is_file()


def draw_people(job: _Job, missing: dict[int, list[int]], processes: int) -> Iterator[int]:
    """Draws people's clips, in several processes where asked for; yields how many clips as each person is done."""
    if processes == 1 or len(missing) < 2:
        for person, performances in missing.items():
            yield draw_clips(job, person, performances)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=begin_process) as pool:
        try:
            yield from pool.map(draw_clips, [job] * len(missing), missing.keys(), missing.values())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def draw_clips(job: _Job, person: int, performances: Sequence[int]) -> int:
    """Writes one person's clips; each is there when its track is."""
    model, atlas, tracks = _tools(job.setup, job.tracks)
    look = make_look(model, atlas, job.plan.seed, person)
    (job.output / f"{person:05d}").mkdir(parents=True, exist_ok=True)
    table = {"person": person, "hair": look.hair, "glasses": look.glasses, "split": job.plan.split(person)}
    write_file(job.output / f"{person:05d}" / "person.json", json.dumps(table, indent=1), "data set")
    for number in performances:
        write_clip(job, person, number, look, performance_for(model, job.plan, tracks, number), model)
    return len(performances)


def performance_for(model, plan: ClipPlan, tracks: Sequence[Track], number: int) -> Performance:
    """The performance of a number: where there are tracks, every second one is a stretch of one of them."""
    if tracks and number % 2:
        return performance_of(tracks[number // 2 % len(tracks)], plan.seed, number, plan.frames, plan.fps)
    return make_performance(model, plan.seed, number, plan.frames, plan.fps)


def write_clip(job: _Job, person: int, number: int, look: Look, performance: Performance, model) -> None:
    """Pictures, action units and, last, the track."""
    plan, path = job.plan, clip_path(job.output, person, number)
    note = synthetic_note("synthesize-dataset", seed=plan.seed, person=person, performance=number)
    truth, pictures = take(model, look, performance, plan.size)
    if plan.form == "mp4":
        file = path.with_suffix(".mp4")
        with VideoWriter(file, plan.size, plan.size, plan.fps, metadata=note, crf=CRF) as writer:
            for picture in pictures:
                writer.write(picture)
    else:
        file = path

        def frames(folder: Path) -> None:
            for k, picture in enumerate(pictures):
                write_picture(folder / f"{k:06d}.png", picture)

        replace_folder(file, frames, "data set")
    track = truth_of(model, look, performance, plan.size)
    track = replace(track, facts={"source": {"file": file.name, "sha256": file_hash(file)}, "synthetic": note})
    write_units(path.with_suffix(".aus.csv"), track, model)
    track.save(path.with_suffix(".track"))


def truth_of(model, look: Look, performance: Performance, size: int) -> Track:
    """A take's parameters and landmarks as a track."""
    truth, camera = parameters_of(look, performance, size)
    frames = len(performance)
    return Track(
        model=model.name, fingerprint=model.fingerprint, width=size, height=size, parameters=truth,
        times=torch.arange(frames, dtype=torch.float64) / performance.fps,
        status=torch.full((frames,), int(FrameStatus.TRACKED)), confidence=torch.ones(frames),
        landmarks=truth.landmarks(model, camera).float(),
    )  # fmt: skip


def rows_of(output: Path, plan: ClipPlan) -> Iterator[tuple]:
    """A row a whole clip that lies there, whoever drew it, in the order of the files."""
    for folder in sorted(p for p in output.iterdir() if p.is_dir() and p.name.isdigit()):
        for track in sorted(folder.glob("p*.track")):
            file = track.with_suffix(".mp4" if plan.form == "mp4" else "")
            if (track / "track.json").is_file():
                split = plan.split(int(folder.name))
                name = file.relative_to(output).as_posix()
                yield name, folder.name, track.stem, split, plan.frames, f"{plan.fps:g}"


@cache
def _tools(setup: Setup, tracks: tuple[Path, ...]):  # once a process
    model = setup.started().face_model("cpu")
    return model, SkinAtlas.of(model, TEXELS), [load_track(path, model) for path in tracks]
