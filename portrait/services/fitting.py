"""``portrait fit`` of one clip; ``portrait.services.batch`` has folders of clips."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import facemodel
from facemodel import PortraitError, Track
from facemodel.track import check_permissions
from fitting import QUALITIES, fit_video
from foundation.errors import unknown_name
from portrait.files import VERSION
from portrait.progress import Progress, say
from portrait.quiet import quiet_native_stderr
from portrait.reports.fit import write_fit_report
from portrait.tracks import altered, check_new_folder, describe_track, is_track, pick_device
from portrait.video import ImageReader, open_frames
from portrait.video.lens import camera_facts, check_lens, focal_from_fov
from portrait.video.writer import check_writable

DEFAULT_QUALITY = "balanced"
Report = Callable[[int, int | None, str], None]  # done, total (None where it isn't known), stage


@dataclass(frozen=True)
class Fitted:
    """A track on disk."""

    track: Track
    kept: bool  # it was there before, complete
    seconds: float  # that this run took for it


def fit_file(
    input: Path,
    output: Path,
    *,
    detector: str = "mediapipe",
    focal: float | None = None,
    fov: float | None = None,
    device: str = "auto",
    model=None,
    title: str = "",
    quality: str = DEFAULT_QUALITY,
    page: Path | None = None,
    replace: bool = False,
    photos: bool = False,
) -> Track:
    """Fits a video, an image or a folder of images, writes the track, and says so; see `fit_clip`.

    page: of HTML, for a report of how well it is fitted.
    """
    if page is not None:
        check_writable(page, input)
    model = model or facemodel.load()
    with quiet_native_stderr(), Progress() as progress:
        fitted = fit_clip(
            input, output, detector=detector, focal=focal, fov=fov, device=device, model=model, quality=quality,
            replace=replace, photos=photos,
            report=lambda done, total, stage: progress.update(done, total, f"{title or input.name}: {stage}"),
        )  # fmt: skip
    track = fitted.track
    if fitted.kept:
        say(f"{output}: already there for this input and these settings, kept ({describe_track(track)})")
    else:
        rate = len(track) / fitted.seconds
        say(f"{output}: {describe_track(track)}; {fitted.seconds:.1f} s, {rate:.1f} frames a second")
        for warning in track.facts.get("warnings", []):
            say(f"  note: {warning}")
    if page is not None:
        write_fit_report(page, track, input, model)
        say(f"{page}: doubtful frames, overlays, curves")
    return track


def fit_clip(
    input: Path,
    output: Path,
    *,
    detector: str = "mediapipe",
    focal: float | None = None,
    fov: float | None = None,
    device: str = "auto",
    model=None,
    report: Report | None = None,
    finder=None,
    quality: str = DEFAULT_QUALITY,
    replace: bool = False,
    photos: bool = False,
) -> Fitted:
    """Fits a video, an image or a folder of images and writes the track.

    A complete track of the same input, settings and model is kept; an unfinished one is gone on with; one of the same
    input and other settings is replaced. One that was edited or mixed is never replaced, and a fit of another file
    only with ``replace``: where the output is a command's own work.
    focal: px; fov: horizontal field of view, degrees; at most one of them, and with neither the focal length is found.
    quality: one of `fitting.QUALITIES`.
    photos: a folder's images show one person and are in no order: nothing moves from one to the next.
    finder: the detector of that name, where one is at hand: each one that is made takes memory that isn't given back.
    Raises PortraitError for input that can't be used, and for an output that holds what would be lost.
    """
    check_lens(focal, fov)
    check_quality(quality)
    frames = open_frames(input)
    check_stills(frames, input, photos, lens=focal is not None or fov is not None)
    check_new_folder(output, input)
    model = model or facemodel.load()
    if fov is not None:
        focal = focal_from_fov(fov, frames.width)
    source = frames.source
    frames.signature = source["sha256"]
    settings = {"detector": detector, "focal": focal, "quality": quality, "fitting": asdict(QUALITIES[quality])}
    settings["version"] = VERSION
    if photos:
        frames.ordered, settings["photos"] = False, True
    settings = json.loads(json.dumps(settings))  # as a track gives it back
    began, work = time.perf_counter(), output.with_name(output.name + ".work")
    if (done := kept_track(output, model, source, settings, replace)) is not None:
        shutil.rmtree(work, ignore_errors=True)  # of a run that was stopped between saving and removing it
        return Fitted(done, True, time.perf_counter() - began)

    device = pick_device(device)
    try:
        track = fit_video(
            frames,
            model=model,
            detector=finder or detector,
            device=device,
            focal=focal,
            settings=QUALITIES[quality],
            checkpoint=work,
            report=lambda event: report and report(event.done, event.total, event.stage),
        )
    except PortraitError as error:
        message = str(error)
        raise PortraitError(message.replace("video:", f"'{input}':", 1)) from None
    finally:
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()
    camera = camera_facts(track, given=focal is not None)
    track = track.with_parameters(track.parameters, settings=settings, device=device, camera=camera)
    track.facts.setdefault("warnings", []).extend(frames.notes)
    if getattr(frames, "several_sizes", False):
        warning = f"photos of several sizes: scaled to one diagonal, {frames.diagonal:.0f} px, as if one lens took them"
        track.facts.setdefault("warnings", []).append(warning)
    track.save(output)
    shutil.rmtree(work, ignore_errors=True)
    return Fitted(track, False, time.perf_counter() - began)


def check_stills(frames, input: Path, photos: bool, lens: bool) -> None:
    """Raises PortraitError where ``input`` isn't what the options say: photos, or a clip of frames of one size."""
    if photos and not (isinstance(frames, ImageReader) and input.is_dir()):
        raise PortraitError(f"--photos: expected a folder of images, got '{input}'; leave --photos out")
    if not getattr(frames, "several_sizes", False):
        return
    sizes = sorted({f"{width} x {height}" for width, height in frames.sizes})
    shown = ", ".join(sizes[:3]) + (", ..." if len(sizes) > 3 else "")
    if not photos:
        raise PortraitError(
            f"folder '{input}': expected images of one size, a clip's frames, got {shown}; "
            "are they photos of one person, in no order? Give --photos"
        )
    if lens:
        raise PortraitError(f"--focal-px, --fov: photos of several sizes ({shown}) have several; leave it out")


def check_quality(name: str) -> None:
    """Raises PortraitError unless there is such a quality."""
    if name not in QUALITIES:
        raise unknown_name("quality", name, QUALITIES)


def kept_track(folder: Path, model, source: dict, settings: dict, replace: bool) -> Track | None:
    """The track in a folder, where it is whole and of this input, settings and model; None where one is to be fitted.

    Raises PortraitError where that would lose an edited or a mixed track or, without ``replace``, another file's, and
    where it can't be known, since the track may not be read.
    """
    check_permissions(folder)
    try:
        track = Track.load(folder) if is_track(folder) else None
    except PortraitError:  # of no use to anybody
        return None
    if track is None:
        return None
    known, how = track.facts.get("source") or {}, altered(track)
    if how is None and not replace and known.get("sha256") != source["sha256"]:
        how = f"fitted to another file ('{known.get('file', 'unknown')}')"
    if how is not None:
        raise PortraitError(f"track '{folder}': was {how} and would be lost; name another output, or remove it first")
    same = track.fingerprint == model.fingerprint and known == source and track.facts.get("settings") == settings
    return track if same else None
