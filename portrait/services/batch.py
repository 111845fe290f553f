"""``portrait fit`` of whatever it's given: one clip, or a folder of them, side by side."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from facemodel import PortraitError
from fitting import make_detector
from foundation.errors import write_error
from foundation.progress import Event, Report, ignore
from portrait.batch.clips import find_clips
from portrait.batch.cluster import run_on_ray
from portrait.batch.cores import run_on_cores
from portrait.batch.summary import write_summary
from portrait.batch.work import Clip, Row
from portrait.services.checks import check_output, check_page
from portrait.services.fitting import FitOptions, Fitted, FittedPeople, fit_clip, fit_people
from portrait.services.one_clip import fit_one
from portrait.services.setup import Setup
from portrait.tracks import is_track


@dataclass(frozen=True)
class ClipEvent(Event):
    """How far a clip of a batch is; with a row it's done."""

    clip: Clip | None = None
    row: Row | None = None


@dataclass(frozen=True)
class Batch:
    """A folder's tracks."""

    summary: Path
    rows: tuple[Row, ...]
    seconds: float

    @property
    def failed(self) -> int:
        """How many clips have no track."""
        return sum(row.status == "failed" for row in self.rows)

    def lines(self) -> list[str]:
        """What there is to say of it."""
        kept = sum(row.kept for row in self.rows)
        new = sum(row.status == "fitted" for row in self.rows) - kept
        parts = [f"{new} fitted", f"{kept} already there" if kept else "", f"{self.failed} failed"]
        count = f"{len(self.rows)} clip{'s' if len(self.rows) != 1 else ''}"
        return [f"{self.summary}: {count}, {', '.join(filter(None, parts))}; {self.seconds:.1f} s"]


def fit_any(
    input: Path,
    output: Path,
    options: FitOptions = FitOptions(),
    *,
    setup: Setup = Setup(),
    page: Path | None = None,
    units: Path | None = None,
    ray: str | None = None,
    report: Report = ignore,
) -> Fitted | FittedPeople | Batch:
    """Fits a video, an image, a folder of images, or a folder of videos.

    Args:
        page: of HTML, for a report of one clip.
        units: of CSV, for action units of one clip.
        ray: address of the Ray cluster that does a folder of videos; None does it on this machine's cores.

    Raises:
        PortraitError: input or options that can't be used.
    """
    options.check()
    check_page(page)
    if input.is_dir() and (clips := find_clips(input, output)):
        if options.photos:
            raise PortraitError(
                f"--photos: expected a folder of images, '{input}' has videos in it; leave --photos out"
            )
        if page is not None:
            raise PortraitError(
                f"--report: expected one clip, got the folder '{input}'; leave it out, summary.csv has the figures"
            )
        if units is not None:
            raise PortraitError(
                f"--action-units: expected one clip, got the folder '{input}'; "
                "leave it out, and 'portrait export TRACK -o units.csv --format openface' for each track"
            )
        if options.all_people:
            raise PortraitError(f"--all-people: expected one clip, got the folder '{input}'; leave --all-people out")
        return fit_folder(clips, output, options, setup=setup, ray=ray, report=report)
    if ray is not None:
        raise PortraitError(f"--ray: expected a folder of videos to share out, got '{input}'; leave --ray out")
    if options.all_people:
        if page is not None:
            raise PortraitError("--report, --all-people: a report is of one track; leave one of them out")
        if units is not None:
            raise PortraitError("--action-units, --all-people: a table is of one track; leave one of them out")
        return fit_people(input, output, options, setup=setup, report=report)
    return fit_clip(input, output, options, setup=setup, page=page, units=units, report=report)


def fit_folder(
    clips: list[Clip],
    output: Path,
    options: FitOptions = FitOptions(),
    *,
    setup: Setup = Setup(),
    ray: str | None = None,
    report: Report = ignore,
) -> Batch:
    """Fits clips into ``output``, with ``summary.csv`` written anew after each.

    Complete tracks of the same clips and settings are kept, unfinished ones gone on with. Reports a first event in
    "clips", then `ClipEvent`s.

    Raises:
        PortraitError: no clip could be fitted like that: the options, the output folder, Ray.
    """
    began = time.perf_counter()
    setup = _checked(output, options, setup, ray)
    rows = {clip: Row(clip.name, clip.track_name) for clip in clips}
    summary, cores = output / "summary.csv", len(os.sched_getaffinity(0))
    report(Event("clips", 0, len(clips), "clips"))
    with _alone(output):
        if ray is None:
            work = partial(fit_one, options=options, setup=setup)
            news = run_on_cores(clips, work, cores)
        else:
            gpus = int(setup.device.startswith("cuda"))
            work = partial(fit_one, options=options, setup=setup if gpus else replace(setup, device="cpu"))
            news = run_on_ray(clips, work, Path(os.path.abspath(output)), ray, count=cores, gpus=gpus)
        with contextlib.closing(news):
            for clip, what in news:
                if isinstance(what, Row):
                    rows[clip] = what
                    write_summary(summary, rows.values())
                    report(ClipEvent("clips", 1, 1, "clips", clip=clip, row=what))
                else:
                    report(ClipEvent(what.stage, what.done, what.total, what.unit, what.note, what.begun, clip))
    return Batch(summary, tuple(rows.values()), time.perf_counter() - began)


def _checked(output: Path, options: FitOptions, setup: Setup, ray: str | None) -> Setup:
    """What would fail for every clip is said once, before the work; the setup that goes to the workers."""
    options.check()
    if output.is_file() or is_track(output):
        raise PortraitError(f"output '{output}': expected a folder for the tracks; give a new one's name")
    check_output(output / "summary.csv")
    elsewhere = ray is not None and setup.device.startswith("cuda")  # the GPU may be where the work is done
    started = (replace(setup, device="cpu") if elsewhere else setup).started()
    started.face_model("cpu")
    make_detector(options.detector).close()  # also fetches weights that aren't here yet, once for all
    return replace(started, device=setup.device) if elsewhere else started


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes the folder, for one run at a time; the lock goes with the process, however that ends."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(folder / ".lock", "w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PortraitError(
                f"output '{folder}': another 'portrait fit' is writing there; wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise write_error("output", folder, error) from None
        yield
