"""``portrait fit`` of one clip: a `Track` of a video, an image, or a folder of images; `batch` has folders of clips."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.editing.openface import write_units
from facemodel.track import check_permissions
from fitting import QUALITIES, fit_video
from fitting.landmarks import DETECTORS
from foundation.progress import Report, ignore
from portrait.files import VERSION, file_hash
from portrait.reports.fit import write_fit_report
from portrait.services.checks import MOST, check_names, check_number, check_page, check_table
from portrait.services.events import named
from portrait.services.setup import Setup
from portrait.tracks import altered, check_new_folder, describe_track, is_track
from portrait.video import ImageReader, open_frames, read_image
from portrait.video.images import check_readable_file
from portrait.video.intrinsics import camera_facts, check_focal_or_fov, focal_from_fov


@dataclass(frozen=True)
class FitOptions:
    """How a clip is fitted."""

    detector: str = "mediapipe"
    focal_px: float | None = None  # where it's known; else it's found
    fov_deg: float | None = None  # or the horizontal field of view; at most one of the two
    quality: str = "balanced"  # one of `fitting.QUALITIES`
    photos: bool = False  # a folder's images show one person and are in no order
    person: int | Path | None = None  # who is followed: a number from 1, shown most; a photo of them; None: the first
    all_people: bool = False  # a track of each person

    def check(self) -> None:
        """Raises PortraitError for what can't be fitted with."""
        check_focal_or_fov(self.focal_px, self.fov_deg)
        if self.all_people and self.person is not None:
            raise PortraitError("--person, --all-people: one person or all; give one of them")
        if isinstance(self.person, int) and self.person < 1:
            raise PortraitError(f"--person: expected a number from 1, or a photo, got {self.person}")
        if isinstance(self.person, Path):
            check_readable_file(self.person, "--person: photo")
        check_number("focal-px", self.focal_px, 0, MOST, above=True, unit=" pixels")
        check_names("quality", [self.quality], QUALITIES)
        check_names("landmark detector", [self.detector], DETECTORS)


@dataclass(frozen=True)
class Fitted:
    """A track on disk."""

    path: Path
    track: Track
    kept: bool  # it was there before, complete
    seconds: float  # that this run took for it
    page: Path | None = None  # the report
    units: Path | None = None  # action units as CSV

    @property
    def warnings(self) -> list[str]:
        """What the fit noted of the clip."""
        return self.track.facts.get("warnings", [])

    def lines(self) -> list[str]:
        """What there is to say of it."""
        if self.kept:
            out = [f"{self.path}: already there for this input and these settings, kept ({describe_track(self.track)})"]
        else:
            rate = f"{self.seconds:.1f} s, {len(self.track) / self.seconds:.1f} frames a second"
            out = [f"{self.path}: {describe_track(self.track)}; {rate}", *(f"  note: {text}" for text in self.warnings)]
        out += [] if self.units is None else [f"{self.units}: action units, 0 to 5, in OpenFace's columns"]
        return out if self.page is None else [*out, f"{self.page}: doubtful frames, overlays, curves"]


def fit_clip(
    input: Path,
    output: Path,
    options: FitOptions = FitOptions(),
    *,
    setup: Setup = Setup(),
    page: Path | None = None,
    units: Path | None = None,
    replace_own: bool = False,
    finder=None,
    report: Report = ignore,
) -> Fitted:
    """Fits a video, an image or a folder of images and writes the track.

    A complete track of the same input, settings and model is kept; an unfinished one is gone on with; one of the same
    input and other settings is replaced. One that was edited or mixed is never replaced, and a fit of another file
    only with ``replace_own``: where the output is a command's own work.

    Args:
        page: of HTML, for a report of how well it is fitted.
        units: of CSV, for action units in OpenFace's columns.
        finder: the detector of that name, where one is at hand: each one that is made takes memory that isn't given
            back.

    Raises:
        PortraitError: input or options that can't be used, or an output that holds what would be lost.
    """
    options.check()
    check_page(page, input)
    check_table(units, "--action-units", input, page)
    report = named(report, input.name)
    check_new_folder(output, input)
    frames = open_frames(input)
    check_stills(frames, input, options)
    setup = setup.started()
    model = setup.face_model()
    if units is not None:
        model.require("arkit", "telling action units")
    focal = options.focal_px
    if options.fov_deg is not None:
        focal = focal_from_fov(options.fov_deg, frames.width)
    check_focal(focal, frames.width, frames.height)
    source = frames.source
    frames.signature = source["sha256"]
    settings = fit_settings(options, setup, focal)
    frames.ordered = not options.photos
    began, work = time.perf_counter(), work_folder(output)
    if (done := kept_track(output, model, source, settings, replace_own)) is not None:
        shutil.rmtree(work, ignore_errors=True)  # of a run that was stopped between saving and removing it
        fitted = Fitted(output, done, True, time.perf_counter() - began, page, units)
    else:
        try:
            track = fit_video(
                frames, model=model, detector=finder or options.detector, device=setup.device, focal=focal,
                settings=QUALITIES[options.quality], checkpoint=work, report=report,
                person=read_image(options.person) if isinstance(options.person, Path) else options.person,
            )  # fmt: skip
        except PortraitError as error:
            raise PortraitError(str(error).replace("video:", f"'{input}':", 1)) from None
        finally:
            if work.is_dir() and not any(work.iterdir()):
                work.rmdir()
        facts = {"settings": settings, "device": setup.device, "camera": camera_facts(track, given=focal is not None)}
        warnings = [*track.facts.get("warnings", []), *shape_warnings(frames)]
        track = track.with_parameters(track.parameters, **facts, warnings=warnings)
        track.save(output)
        shutil.rmtree(work, ignore_errors=True)
        fitted = Fitted(output, track, False, time.perf_counter() - began, page, units)
    if page is not None:
        write_fit_report(page, fitted.track, input, model)
    if units is not None:
        write_units(units, fitted.track, model)
    return fitted


@dataclass(frozen=True)
class FittedPeople:
    """A track of each person of a clip, who is shown most first."""

    people: tuple[Fitted, ...]

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [line for fitted in self.people for line in fitted.lines()]


def fit_people(
    input: Path, output: Path, options: FitOptions, *, setup: Setup = Setup(), finder=None, report: Report = ignore
) -> FittedPeople:
    """Tracks of all people of a clip: ``<output>/person_1.track``, and so on; see `fit_clip`."""
    setup, done = setup.started(), []
    while not done or len(done) < done[0].track.facts.get("people", {"of": 1})["of"]:
        one = replace(options, person=len(done) + 1, all_people=False)
        path = output / f"person_{len(done) + 1}.track"
        done.append(fit_clip(input, path, one, setup=setup, finder=finder, report=report))
    return FittedPeople(tuple(done))


def check_focal(focal: float | None, width: int, height: int) -> None:
    """Raises PortraitError for a focal length, px, that no camera of such pictures has: of 0.6 to 170 degrees."""
    low, high = 0.05 * max(width, height), 100.0 * max(width, height)
    if focal is not None and not low <= focal <= high:
        raise PortraitError(
            f"--focal-px, --fov: expected a focal length from {low:.0f} to {high:.0f} px for pictures of {width} x "
            f"{height}, got {focal:.4g}"
        )


def fit_settings(options: FitOptions, setup: Setup, focal: float | None) -> dict:
    """What decides a fit beside its input and the model: noted in the track, by which a later run knows it again."""
    settings = {"detector": options.detector, "focal": focal, "quality": options.quality}
    settings |= {"fitting": asdict(QUALITIES[options.quality]), "version": VERSION}
    if setup.model is not None:
        settings["model"] = setup.model
    if options.photos:
        settings["photos"] = True
    if options.person is not None:
        photo = isinstance(options.person, Path)
        settings["person"] = {"sha256": file_hash(options.person)} if photo else options.person
    return json.loads(json.dumps(settings))  # as a track gives it back


def work_folder(output: Path) -> Path:
    """Where what is needed to go on is kept beside an output."""
    whole = Path(os.path.abspath(output))
    return whole.with_name(whole.name + ".work")


def shape_warnings(frames) -> list[str]:
    """What a track says of the shape of its pictures."""
    found = list(frames.notes)
    if getattr(frames, "several_sizes", False):
        found.append(
            f"photos of several sizes: scaled to one diagonal, {frames.diagonal:.0f} px, as if one camera took them"
        )
    return found


def check_stills(frames, input: Path, options: FitOptions) -> None:
    """Raises PortraitError where ``input`` isn't what the options say: photos, or a clip of frames of one size."""
    if options.photos and not (isinstance(frames, ImageReader) and input.is_dir()):
        raise PortraitError(f"--photos: expected a folder of images, got '{input}'; leave --photos out")
    if not getattr(frames, "several_sizes", False):
        return
    sizes = sorted({f"{width} x {height}" for width, height in frames.sizes})
    shown = ", ".join(sizes[:3]) + (", ..." if len(sizes) > 3 else "")
    if not options.photos:
        raise PortraitError(
            f"folder '{input}': expected images of one size, a clip's frames, got {shown}; "
            "are they photos of one person, in no order? Give --photos"
        )
    if (options.focal_px, options.fov_deg) != (None, None):
        raise PortraitError(f"--focal-px, --fov: photos of several sizes ({shown}) have several; leave it out")


def kept_track(folder: Path, model, source: dict, settings: dict, replace_own: bool) -> Track | None:
    """The track in a folder, where it is whole and of this input, settings and model; None where one is to be fitted.

    Raises PortraitError where that would lose an edited or a mixed track or, without ``replace_own``, another file's,
    and where it can't be known, since the track may not be read.
    """
    check_permissions(folder)
    try:
        track = Track.load(folder) if is_track(folder) else None
    except PortraitError:  # of no use to anybody
        return None
    if track is None:
        return None
    known, how = track.facts.get("source") or {}, altered(track)
    if how is None and not replace_own and known.get("sha256") != source["sha256"]:
        how = f"fitted to another file ('{known.get('file', 'unknown')}')"
    if how is not None:
        raise PortraitError(f"track '{folder}': was {how} and would be lost; name another output, or remove it first")
    same = track.fingerprint == model.fingerprint and known == source and track.facts.get("settings") == settings
    return track if same else None
