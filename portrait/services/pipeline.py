"""``portrait reenact`` and ``portrait demo``: everything in one, re-using what is on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError, Track
from facemodel.editing.mixing import target_frames
from foundation.progress import Report, counted, ignore
from neural_render.methods.base import DEFAULT, Method, TrainingBudget, method_of
from neural_render.methods.clip import Clip
from portrait.files import find_file, synthetic_note, track_facts
from portrait.performance import scripted_performance
from portrait.pictures import as_bytes
from portrait.reports.comparison import comparison_frames
from portrait.reports.reenactment import Reenactment, write_report
from portrait.services.checks import check_number, check_page, check_video_output
from portrait.services.choosing import UNTRAINED, Choice, comparable, compare, first_part, short_title
from portrait.services.editing import Mixed, MixOptions
from portrait.services.events import Begun, Finished, Notes
from portrait.services.fitting import FitOptions, fit_clip, work_folder
from portrait.services.methods import LONGEST, Footage, clip_of, find, has_track
from portrait.services.setup import Setup
from portrait.services.synthesis import (
    Synthesized,
    check_picture_output,
    check_sound,
    driver_of,
    frames_in,
    is_picture,
    sound_file,
    sound_of_pictures,
    weights_facts,
    write_frames,
    write_result,
)
from portrait.services.training import MethodOptions, Trained, train_on
from portrait.tracks import check_new_folder, is_track, load_track
from portrait.video import VideoReader, open_frames
from portrait.video.sample import carphone
from portrait.video.source import file_hash
from renderer import render

DEMO_MINUTES = 7.0
"""What the demo takes without the installation, on two cores."""


@dataclass(frozen=True)
class ReenactOptions:
    """How a reenactment is made."""

    mix: MixOptions = MixOptions()
    fit: FitOptions = FitOptions()
    method: MethodOptions = MethodOptions()
    weights: Path | None = None  # trained ones, in place of a training on the target
    total_minutes: float | None = None  # that everything is to take; the training gets what is left of them
    sound: str | Path | None = "source"  # see `portrait.services.synthesis.sound_file`
    comparison: Path | None = None  # a video beside the result: driver | target | ... | result
    page: Path | None = None  # a report in one file of HTML
    better: bool = False  # Face2Face in the trained method's place, where it's nearer to frames that neither has seen

    def check(self) -> None:
        """Raises PortraitError for what can't be."""
        self.mix.check()
        self.fit.check()
        self.method.made()
        check_sound(self.sound)
        check_number("total-minutes", self.total_minutes, 0, LONGEST, above=True)


@dataclass(frozen=True)
class Reenacted:
    """A reenactment, and what was made on the way."""

    video: Path
    comparison: Path | None
    page: Path | None
    timings: dict[str, float]  # seconds by stage, in order
    trained: Trained | None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        out = [f"{self.comparison}: driver, target, result side by side"] if self.comparison else []
        return out if self.page is None else [*out, f"{self.page}: curves, overlays, timings"]


@dataclass
class Clock:
    """Seconds by stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Counts what is done in the block."""
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

    def left_of(self, minutes: float) -> float:
        """What a training may take so that everything takes about ``minutes``, also on a slow or a busy machine.

        Synthesis and comparison take about as long as fitting, and a minute.
        """
        return max(2.0, minutes - 1 - 2 * sum(self.seconds.values()) / 60)


def reenact(
    source: Path | None,
    target: Path,
    output: Path,
    options: ReenactOptions = ReenactOptions(),
    *,
    work: Path | None = None,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Reenacted:
    """Fits both, mixes, trains on the target, synthesizes: of these, what the method needs.

    Everything in between is kept in ``work`` (``<output>.work``): tracks of the same input and a training with the
    same settings are gone on with. Reports parts as `portrait.services.events.Begun` and `Finished`.

    Args:
        source: a video or a track; None is the scripted performance.

    Raises:
        PortraitError: files or options that can't be used; before the work where that can be known.
    """
    options.check()
    check_page(options.page, source, target)
    check_outputs(output, options, source, target)
    setup = setup.started()
    job = _Job(options, work or work_folder(output), setup, report, Notes(report))
    method = chosen_method(options)
    tracks = method.target.track or method.driver.track
    of_source = source if source is not None and not is_track(source) else None
    check_source(method, source)
    frames = open_frames(target)
    driving = None if of_source is None else open_frames(of_source)  # what can't be read is said before the long work
    check_new_folder(job.work / "mixed.track", source)
    clip = clip_of(Footage(target), job.work, setup=setup, fit=options.fit, report=report, frames=frames)
    trains = method.training is not None and options.weights is None
    job.parts = [*(["fitting", "mixing"] if tracks else []), *(["training on the target"] if trains else []),
                 "synthesizing"]  # fmt: skip

    played = mixed = None
    if tracks:
        played, mixed = job.fit_and_mix(source, target, clip)
        driver = Clip.of_track(mixed, driving, setup.face_model())
        audio = job.sound(mixed, played, source, of_source, target)
    elif of_source is None:  # a track has landmarks and units, which is all that is asked for
        played = load_track(source, setup.face_model())
        driver, audio = Clip.of_track(played, None, setup.face_model()), None
    else:
        driver = clip_of(Footage(of_source), job.work, setup=setup, fit=options.fit, report=report, frames=driving)
        audio = sound_of_pictures(options.sound, target, of_source, job.notes)
    known = first_part(clip) if options.better and trains and comparable(method, setup.face_model()) else None
    trained, weights = job.train(method, known or clip, target) if trains else (None, options.weights)
    loaded = None if weights is None else method.load(weights, setup.face_model())
    job.begin("synthesizing")
    choice, beaten = (None, None) if known is None else job.compare(method, loaded, known, clip)
    if beaten is not None:
        method, loaded, weights = find(UNTRAINED), None, None
    note = {"target": {"file": target.name, "sha256": frames.source["sha256"]}, "method": method.name}
    note |= {"track": track_facts(job.work / "mixed.track", mixed)} if mixed is not None else {}
    note |= {} if weights is None else {"weights": weights_facts(weights, loaded.header)}
    with job.clock.of("synthesize"):
        made = write_result(
            output, method, loaded, clip, driver, audio=audio, note=synthetic_note("synthesize", **note), setup=setup,
            report=report,
        )  # fmt: skip
    for text in method.notes():
        job.notes.add(text)
    job.finished(Synthesized(output, *made))
    shown = partial(driver_frames, of_source, played, setup.face_model())
    if options.comparison is not None:
        with job.clock.of("comparison"):
            panels = panels_of(method, loaded, clip, driver, output, beaten, setup.device)
            write_comparison(options.comparison, shown(), clip, driver, output, panels, report)
    if options.page is not None:
        facts = Reenactment(
            output.stem, target, output, played, clip.track if tracks else None, mixed, job.clock.seconds, trained,
            choice, tuple(method.notes()),
        )  # fmt: skip
        write_report(options.page, facts, shown, setup.face_model())
    return Reenacted(output, options.comparison, options.page, job.clock.seconds, trained, tuple(job.notes))


def check_outputs(output: Path, options: ReenactOptions, source: Path | None, target: Path) -> None:
    """PortraitError for names that can't be written to: a picture is for a driver's photograph."""
    if is_picture(output):
        check_picture_output(output, source, target, frames=None if source is None else frames_in(source))
    else:
        check_video_output(output, source, target)
    if options.comparison is not None:
        check_video_output(options.comparison, source, target)


def chosen_method(options: ReenactOptions) -> Method:
    """The one that is named, or that the weights are of. PortraitError where these are two."""
    named = options.method.name
    if options.weights is None:
        return find(named)
    method = method_of(options.weights)
    if named not in (DEFAULT, method.name):
        raise PortraitError(
            f"weights '{options.weights}': are of '{method.name}', not of '{named}'; leave --method out"
        )
    return method


def check_source(method: Method, source: Path | None) -> None:
    """PortraitError where a method can't be driven by that source."""
    if method.target.track or method.driver.track:
        return
    if source is None:
        raise PortraitError(f"--source: expected a clip or a photograph that drives '{method.name}', got none")
    if is_track(source) and method.driver.pictures:
        raise PortraitError(f"--source: the method '{method.name}' looks at the driver's pictures; give a video")


@dataclass
class _Job:
    """What the parts of a reenactment share."""

    options: ReenactOptions
    work: Path
    setup: Setup
    report: Report
    notes: Notes
    clock: Clock = field(default_factory=Clock)
    parts: list[str] = field(default_factory=list)

    def begin(self, part: str, note: str = "") -> None:
        self.report(Begun(part, self.parts.index(part), len(self.parts), "parts", note))

    def finished(self, result: object) -> None:
        self.report(Finished("", 1, 1, result=result))

    def fit_and_mix(self, source: Path | None, target: Path, clip: Clip) -> tuple[Track, Track]:
        """The source's track and the mixed one; the target's goes to its clip."""
        options, model = self.options, self.setup.face_model()
        fit = {"setup": self.setup, "replace_own": True, "report": self.report}
        self.begin("fitting")
        with self.clock.of("fit target"):
            fitted = fit_clip(target, self.work / "target.track", options.fit, **fit)
        self.finished(fitted)
        clip.track = fitted.track
        if source is None:
            played = scripted_performance(model, fitted.track.fps)
            played.save(self.work / "source.track")
        elif is_track(source):
            played = load_track(source, model)
        else:
            with self.clock.of("fit source"):
                driving = fit_clip(source, self.work / "source.track", options.fit, **fit)
            self.finished(driving)
            played = driving.track
        self.begin("mixing")
        with self.clock.of("mix"):
            mixed = options.mix.mix(played, fitted.track, model)
            mixed.save(self.work / "mixed.track")
        neutral = None if options.mix.absolute else mixed.facts["mixed"]["neutral"]
        self.finished(Mixed(mixed, self.work / "mixed.track", neutral))
        return played, mixed

    def train(self, method: Method, clip: Clip, target: Path) -> tuple[Trained, Path]:
        """Weights of the target, gone on with where they are there."""
        options = self.options.method.made(self.setup.device)
        if self.options.total_minutes is not None:
            options = replace(options, minutes=self.clock.left_of(self.options.total_minutes))
        self.begin("training on the target", f"{options.minutes:.3g} minutes in all")
        fitted = self.work / "target.track" / "track.safetensors"
        digest = (file_hash(fitted) if fitted.is_file() else clip.frames.source["sha256"])[:8]
        part = f"-{clip.count}" if self.options.better else ""  # frames, where some are kept out
        weights = self.work / f"{method.name}{options_name(options)}-{digest}{part}.safetensors"
        with self.clock.of("train"):
            trained = train_on(method, [clip], weights, options, report=self.report)
        self.finished(trained)
        return trained, weights

    def compare(self, method: Method, weights, known: Clip, clip: Clip) -> tuple[Choice, tuple[Method, object] | None]:
        """A trained method beside Face2Face; and the method with its weights, where that's beaten."""
        with self.clock.of("compare"):
            choice = compare(method, weights, find(UNTRAINED), known, clip, self.setup.device, self.report)
        self.notes.add(choice.line())
        return choice, None if choice.first else (method, weights)

    def sound(self, mixed: Track, played: Track, source: Path | None, of_source: Path | None, target: Path):
        """The file whose sound goes with the result; of a driving track its clip's, where that is at hand."""
        sound = self.options.sound
        if of_source is None and sound == "source":
            sound = sound_of_track(played, source, target, self.notes)
        return sound_file(sound, mixed, target, of_source, self.notes, self.work / "mixed.track")


def options_name(options: TrainingBudget) -> str:
    """What of a method's options belongs to the name of the weights that they make: not how long and where."""
    sizes = [f"-{getattr(options, name)}" for name in ("size", "width") if hasattr(options, name)]
    usual = {f.name: getattr(type(options)(), f.name) for f in fields(options)}
    left = {"minutes", "steps", "device", "size", "width"}
    others = {k: v for k, v in asdict(options).items() if k not in left and v != usual[k]}
    digest = hashlib.sha256(json.dumps(others, sort_keys=True, default=str).encode()).hexdigest()[:6]
    return "".join(sizes) + (f"-{digest}" if others else "")


def demo(
    output: Path,
    *,
    source: Path | None = None,
    target: Path | None = None,
    minutes: float | None = None,
    options: ReenactOptions = ReenactOptions(),
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Reenacted:
    """The main job into one folder: the network's result, or Face2Face's where that is nearer to unseen frames.

    minutes: of training; None fits it into ``DEMO_MINUTES``. target: None is a clip that is installed.
    """
    check_number("minutes", minutes, 0, LONGEST, above=True)
    if output.is_file():
        raise PortraitError(f"demo '{output}': expected a folder, found a file; choose another name")
    values = {**options.method.values, **({} if minutes is None else {"minutes": minutes})}
    options = replace(
        options, method=replace(options.method, values=values), comparison=output / "comparison.mp4",
        total_minutes=DEMO_MINUTES if minutes is None else None, page=output / "report.html", better=True,
    )  # fmt: skip
    return reenact(
        source, target or carphone(), output / "result.mp4", options, work=output / "work", setup=setup, report=report
    )


# -- what is shown of it ----------------------------------------------------------------------------------------------


def panel_height(clip: Clip) -> int:
    """Px of a comparison's panels: the clip's own height within limits, even."""
    height = max(288, min(432, clip.height))
    return height + height % 2


def driver_frames(video: Path | None, track: Track | None, model) -> Iterator[np.ndarray]:
    """The driver's own frames; without a video, its track drawn with the shaded model."""
    if video is not None:
        yield from (frame for _, _, frame in open_frames(video))
        return
    for start in range(0, len(track), 8):
        with torch.inference_mode():
            p = track.parameters[start : start + 8].to(model.mean.device)
            drawn = render(model, p, track.camera, maps=["diffuse", "mask"], supersample=2)
        yield from as_bytes(drawn["diffuse"] + 0.13 * (1 - drawn["mask"]))


def panels_of(
    method: Method,
    weights,
    target: Clip,
    driver: Clip,
    result: Path,
    beaten: tuple[Method, object] | None,
    device: str,
) -> Iterator[Mapping[str, np.ndarray]]:
    """A method's panels, and what another one makes of the same: the ``beaten`` one with its weights, or Face2Face."""
    shown = (frame for _, _, frame in VideoReader(result))
    panels = method.panels(weights, target, driver, shown, panel_height(target))
    if beaten is None and not comparable(method, target.model):
        return panels
    other, known = beaten or (find(UNTRAINED), None)
    made = other.animate(known, target, driver, device=device)
    return ({**panel, short_title(other): picture} for panel, picture in zip(panels, made))


def write_comparison(
    path: Path, shown: Iterator[np.ndarray], target: Clip, driver: Clip, result: Path, panels, report: Report
) -> None:
    """The comparison video, with the sound of the result.

    shown: the driver's frames. panels: of the method, by title, one set a frame.
    """
    reader = VideoReader(result)
    track = driver.track if has_track(driver) else None
    times = [time for _, time, _ in reader] if track is None else track.seconds.tolist()
    frames = comparison_frames(
        shown, target.frames, reader, panels, order=None if track is None else target_frames(track),
        height=panel_height(target),
    )  # fmt: skip
    made_from = {"file": result.name, "sha256": file_hash(result)}
    note = synthetic_note("comparison", result=made_from, mixed=track.facts.get("mixed") if track is not None else None)
    shown_frames = counted(frames, report, path.name, len(times))
    write_frames(path, shown_frames, times, driver.fps, Fraction(1), audio=result, note=note)  # as seen


def sound_of_track(track: Track, path: Path | None, target: Path, notes: Notes) -> str:
    """A ``sound`` for `sound_file`: the clip that a driving track is of, where it is at hand, else "none".

    path: of the track; None for the scripted performance, which is silent.
    """
    clip = None if path is None else find_file(driver_of(track) or track.facts.get("source"), path, target)
    if path is not None and clip is None:
        notes.add(f"no sound, since the clip of {path.name} isn't beside it; --sound takes a file")
    return "none" if clip is None else str(clip)
