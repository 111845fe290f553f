"""``portrait reenact`` and ``portrait demo``: everything in one, re-using what is on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import facemodel
from facemodel import PortraitError, Track
from neural_render import find_method, head_crop
from neural_render.methods.base import DEFAULT
from portrait.files import file_hash, find_file, synthetic_note
from portrait.performance import scripted_performance
from portrait.progress import Progress, say
from portrait.reports.comparison import comparison_frames
from portrait.reports.reenactment import write_report
from portrait.services.fitting import DEFAULT_QUALITY, check_quality, fit_file
from portrait.services.rendering import camera_of, to_uint8, write_video
from portrait.services.synthesis import driver_of, synthesize_file, train_file
from portrait.services.tracks import parts
from portrait.tracks import check_new_folder, is_track, load_track, pick_device
from portrait.video import VideoReader, open_frames
from portrait.video.sample import carphone
from portrait.video.writer import check_writable
from renderer import render

DEMO_MINUTES = 7.0
"""What the demo takes without the installation, on two cores."""


@dataclass
class Timings:
    """Seconds by stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    def measure(self, stage: str, function, *arguments, **options):
        began = time.perf_counter()
        result = function(*arguments, **options)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
        return result


def reenact_files(
    source: Path | None,
    target: Path,
    output: Path,
    *,
    take: str = "expression,pose,gaze",
    absolute: bool = False,
    smooth: float = 0.0,
    minutes: float | Callable[[Timings], float] = 10.0,
    size: int = 128,
    width: int = 32,
    detector: str = "mediapipe",
    comparison: Path | None = None,
    report: Path | None = None,
    sound: str | None = "source",
    device: str = "auto",
    work: Path | None = None,
    method: str = DEFAULT,
    quality: str = DEFAULT_QUALITY,
) -> None:
    """Fit both, mix, train on the target, synthesize.

    source: a video or a track; None is the scripted performance. minutes: of training; a function gets the time
    that fitting took. Everything in between is kept in ``work``
    (``<output>.work``): tracks of the same input and a training with the same settings are gone on with.
    """
    find_method(method)
    check_quality(quality)
    for path in (output, comparison, report):
        if path is not None:
            check_writable(path, source, target)
    names = parts(take)
    device = pick_device(device)
    model = facemodel.load(device=device)
    open_frames(target)
    if source is not None and not is_track(source):
        open_frames(source)  # what can't be read is said before the long work
    work = work or output.with_name(output.name + ".work")
    check_new_folder(work / "mixed.track", source)
    clock = Timings()

    say("1/4 fitting")
    fit = {"model": model, "detector": detector, "quality": quality, "device": device, "replace": True}
    t = clock.measure("fit target", fit_file, target, work / "target.track", **fit)
    s = _source_track(source, work, t, clock, fit)
    given = source if source is not None and not is_track(source) else None
    if given is None and sound == "source":
        sound = sound_of_track(s, source, target)
    say("2/4 mixing")
    mixed = clock.measure("mix", facemodel.mix, s, t, model, names, absolute=absolute, smooth=smooth)
    mixed.save(work / "mixed.track")

    minutes = minutes(clock) if callable(minutes) else minutes
    say(f"3/4 training on the target, {minutes:.3g} minutes in all")
    fitted = file_hash(work / "target.track" / "track.safetensors")[:8]
    weights = work / f"{method}-{size}-{width}-{fitted}.safetensors"
    summary = clock.measure(
        "train", train_file, work / "target.track", target, weights,
        minutes=minutes, size=size, width=width, device=device, model=model, method=method,
    )  # fmt: skip
    say("4/4 synthesizing")
    clock.measure(
        "synthesize", synthesize_file, weights, work / "mixed.track", target, output,
        sound=sound, device=device, source=given, model=model,
    )  # fmt: skip

    if comparison is not None:
        clock.measure("comparison", write_comparison, comparison, s, given, target, t, mixed, output, model)
        say(f"{comparison}: driver | target | maps | result")
    if report is not None:
        write_report(
            report, title=output.stem, source=s, target=t, mixed=mixed, target_video=target, result_video=output,
            driver=lambda: driver_frames(s, given, model), model=model, timings=clock.seconds, training=summary,
        )  # fmt: skip
        say(f"{report}: curves, overlays, timings")


def remaining_minutes(clock: Timings) -> float:
    """What a demo may train so that all of it takes about ``DEMO_MINUTES``, also on a slow or a busy machine.

    Synthesis and comparison take about as long as fitting, and a minute.
    """
    spent = sum(clock.seconds.values()) / 60
    return max(2.0, DEMO_MINUTES - 1 - 2 * spent)


def run_demo(
    output: Path, *, source: Path | None, target: Path | None, minutes: float | None, size: int, width: int, device: str
) -> None:
    """The main job into one folder. minutes: of training; None fits it into ``DEMO_MINUTES``."""
    if output.is_file():
        raise PortraitError(f"demo '{output}': expected a folder, found a file; choose another name")
    began = time.perf_counter()
    target = target or carphone()
    result, comparison, report = (output / n for n in ("result.mp4", "comparison.mp4", "report.html"))
    reenact_files(
        source, target, result, minutes=minutes or remaining_minutes, size=size, width=width,
        comparison=comparison, report=report, device=device, work=output / "work", sound="source",
    )  # fmt: skip
    say(f"\nDone in {(time.perf_counter() - began) / 60:.1f} minutes. Look at:")
    for path, what in ((result, "the new video"), (comparison, "driver | target | maps | result"),
                       (report, "curves, overlays, timings, warnings")):  # fmt: skip
        say(f"  {path}   {what}")


def write_comparison(
    path: Path, source: Track, source_video: Path | None, target: Path, target_track: Track, mixed: Track, result: Path,
    model,
) -> Path:  # fmt: skip
    """The comparison video, with the sound of the result."""
    crop = head_crop(target_track, model)
    frames = comparison_frames(
        driver_frames(source, source_video, model),
        open_frames(target),
        mixed,
        VideoReader(result),
        model=model,
        crop=crop,
    )
    made_from = {"file": result.name, "sha256": file_hash(result)}
    note = synthetic_note("comparison", result=made_from, mixed=mixed.facts.get("mixed"))
    square = mixed.with_parameters(mixed.parameters, source=None)  # the panels are already as they are to be seen
    with Progress() as progress:
        return write_video(path, progress.over(frames, len(mixed), path.name), square, audio_from=result, note=note)


def driver_frames(source: Track, video: Path | None, model) -> Iterator[np.ndarray]:
    """The driver's own frames; without a video, its track drawn with the shaded model."""
    if video is not None:
        for _, _, frame in open_frames(video):
            yield frame
        return
    camera = camera_of(source)
    for start in range(0, len(source), 8):
        with torch.inference_mode():
            p = source.parameters[start : start + 8].to(model.mean.device)
            drawn = render(model, p, camera, maps=["diffuse", "mask"], supersample=2)
        background = 0.13 * (1 - drawn["mask"])
        yield from to_uint8(drawn["diffuse"] + background)


def sound_of_track(track: Track, path: Path | None, target: Path) -> str:
    """A ``sound`` for ``synthesize_file``: the clip that a driving track is of, where it is at hand, else "none".

    path: of the track; None for the scripted performance, which is silent.
    """
    clip = None if path is None else find_file(driver_of(track) or track.facts.get("source"), path, target)
    if path is not None and clip is None:
        say(f"  note: no sound, since the clip of {path.name} isn't beside it; --sound takes a file")
    return "none" if clip is None else str(clip)


def _source_track(source: Path | None, work: Path, target: Track, clock: Timings, fit: dict) -> Track:
    if source is None:
        track = scripted_performance(fit["model"], target.fps)
        track.save(work / "source.track")
        return track
    if is_track(source):
        return load_track(source, fit["model"])
    return clock.measure("fit source", fit_file, source, work / "source.track", **fit)
