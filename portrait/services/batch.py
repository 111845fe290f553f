"""``portrait fit`` of whatever it's given: one clip, or a folder of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from facemodel import PortraitError
from fitting import make_detector
from foundation.errors import write_error
from portrait.batch.clips import find_clips
from portrait.batch.cluster import run_on_ray
from portrait.batch.cores import run_on_cores
from portrait.batch.display import BatchDisplay
from portrait.batch.job import fit_one
from portrait.batch.summary import write_summary
from portrait.batch.work import Clip, Options, Row
from portrait.progress import say
from portrait.quiet import quiet_native_stderr
from portrait.services.fitting import DEFAULT_QUALITY, check_quality, fit_file
from portrait.tracks import is_track, pick_device
from portrait.video.lens import check_lens
from portrait.video.writer import check_writable


def fit_any(
    input: Path,
    output: Path,
    *,
    detector: str,
    focal: float | None,
    fov: float | None,
    device: str,
    ray: str | None,
    quality: str = DEFAULT_QUALITY,
    page: Path | None = None,
    photos: bool = False,
) -> bool:
    """Fits a video, an image, a folder of images, or a folder of videos; False where some of those failed.

    page: of HTML, for a report of one clip. photos: see `fit_clip`.
    ray: address of the Ray cluster that does a folder of videos; None does it on this machine's cores.
    Raises PortraitError for input that can't be used.
    """
    check_lens(focal, fov)
    check_quality(quality)
    if input.is_dir() and (clips := find_clips(input, output)):
        if photos:
            raise PortraitError(
                f"--photos: expected a folder of images, '{input}' has videos in it; leave --photos out"
            )
        if page is not None:
            raise PortraitError(
                f"--report: expected one clip, got the folder '{input}'; leave it out, summary.csv has the figures"
            )
        return fit_folder(clips, output, Options(detector, focal, fov, device, quality), ray)
    if ray is not None:
        raise PortraitError(f"--ray: expected a folder of videos to share out, got '{input}'; leave --ray out")
    fit_file(
        input, output, detector=detector, focal=focal, fov=fov, device=device, quality=quality, page=page, photos=photos
    )
    return True


def fit_folder(clips: list[Clip], output: Path, options: Options, ray: str | None = None) -> bool:
    """Fits clips into ``output``, with ``summary.csv`` written anew after each; False where some failed.

    Complete tracks of the same clips and settings are kept, unfinished ones gone on with.
    Raises PortraitError where no clip could be fitted like that: the options, the output folder, Ray.
    """
    began = time.perf_counter()
    _check(output, options, ray)
    rows = {clip: Row(clip.name, clip.track_name) for clip in clips}
    summary, cores = output / "summary.csv", len(os.sched_getaffinity(0))
    with _alone(output):
        if ray is None:
            events = run_on_cores(clips, partial(fit_one, options=options), cores)
        else:
            gpus = int(options.device.startswith("cuda"))
            work = partial(fit_one, options=options if gpus else replace(options, device="cpu"))
            events = run_on_ray(clips, work, Path(os.path.abspath(output)), ray, count=cores, gpus=gpus)
        with contextlib.closing(events), BatchDisplay(len(clips)) as display:
            for clip, news in events:
                if isinstance(news, Row):
                    rows[clip] = news
                    write_summary(summary, rows.values())
                display.show(clip, news)
    kept = sum(row.kept for row in rows.values())
    new = sum(row.status == "fitted" for row in rows.values()) - kept
    parts = [f"{new} fitted", f"{kept} already there" if kept else "", f"{display.failed} failed"]
    seconds = time.perf_counter() - began
    count = f"{len(clips)} clip{'s' if len(clips) != 1 else ''}"
    say(f"{summary}: {count}, {', '.join(filter(None, parts))}; {seconds:.1f} s")
    return not display.failed


def _check(output: Path, options: Options, ray: str | None) -> None:
    """What would fail for every clip is said once, before the work."""
    if output.is_file() or is_track(output):
        raise PortraitError(f"output '{output}': expected a folder for the tracks; give a new one's name")
    check_writable(output / "summary.csv")
    check_lens(options.focal, options.fov)
    if ray is None or not options.device.startswith("cuda"):  # the GPU may be where the work is done
        pick_device(options.device)
    with quiet_native_stderr():
        make_detector(options.detector).close()  # also fetches weights that aren't here yet, once for all


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
