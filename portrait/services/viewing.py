"""``portrait view``: the editor page of a track or of a model, in one file."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel import PortraitError, Track
from facemodel.editing.mixing import target_frames
from foundation.atomic import write_file
from foundation.progress import Event, Report, counted, ignore
from neural_render import FrameCursor
from portrait.page.document import document
from portrait.page.facts import Content, finite, model_content, track_content, with_texture
from portrait.page.pictures import Pictures, small_pictures
from portrait.services.checks import REPORT_SUFFIXES, check_output
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.tracks import check_video, describe_track, load_track


@dataclass(frozen=True)
class ViewOptions:
    """What a page shows beside its track."""

    video: Path | None = None  # the clip that the track is of
    against: Path | None = None  # another track, to be compared with
    texture: Path | None = None  # a picture over the UV atlas, in place of the albedo


@dataclass(frozen=True)
class Viewed:
    """A page that was written."""

    path: Path
    what: str
    size: int  # bytes
    opened: bool  # in a browser
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        next_ = "opened in your browser" if self.opened else "open it in a browser"
        return [f"{self.path}: {self.what}; {self.size / 1e6:.1f} MB in one file, {next_}"]


def view_page(
    track: Path | None,
    output: Path | None,
    options: ViewOptions = ViewOptions(),
    *,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Viewed:
    """Writes the page of a track, or of a model where there is none, and opens it where no output is named.

    Raises:
        PortraitError: files that can't be used, or that don't belong together.
    """
    if output is not None:
        if output.suffix.lower() not in REPORT_SUFFIXES:
            raise PortraitError(f"output '{output}': expected a name ending in .html, a page is one file")
        check_output(output, track, options.video, options.against, options.texture)
    if track is None and (options.video or options.against or options.texture):
        raise PortraitError("view: --video, --against and --texture go with a track; give one: portrait view TRACK")
    notes = Notes(report)
    model, pictures = setup.started().face_model("cpu"), None
    if track is None:
        content, what = model_content(model), f"the model '{model.name}'"
    else:
        content, pictures, loaded = track_page(track, options, model, notes, report)
        what = describe_track(loaded)
    report(Event("writing the page", 0, None))
    text = document(content.facts, content.arrays, pictures)
    opened, path = False, output or scratch(track, model.name)
    data = text.encode("utf-8", "replace")
    write_file(path, data, "page")
    if output is None:
        opened = open_in_browser(path.absolute().as_uri())
    return Viewed(path, what, len(data), opened, tuple(notes))


def track_page(
    path: Path, options: ViewOptions, model, notes: Notes, report: Report = ignore
) -> tuple[Content, Pictures | None, Track]:
    """What the page of a track has in it."""
    track = _load(path, model)
    against = None if options.against is None else (_load(options.against, model), options.against)
    frames = None if options.video is None else check_video(options.video, track, notes.add)
    content = track_content(track, model, path, options.video, against)
    if options.texture is not None:
        content = with_texture(content, model, options.texture)
    pictures = None
    if frames is not None:
        order = target_frames(track)
        if frames.frame_count is not None and frames.frame_count > max(order) + 1:
            notes.add(
                f"{options.video.name} has {frames.frame_count} frames, the track {len(track)}: the rest isn't shown"
            )
        shown = counted(in_order(frames, order), report, f"pictures of {options.video.name}", len(order))
        pictures = small_pictures(shown, len(order))
        if pictures.every > 1:
            notes.add(f"the page has room for one picture in {pictures.every} of so long a clip")
    content.facts["notes"].extend(f"{note}." for note in notes)
    return content, pictures, track


def in_order(frames, order: list[int]) -> Iterator[np.ndarray]:
    """The clip's frames as a track has them."""
    cursor = FrameCursor(frames)
    for index in order:
        yield cursor.at(index)
    cursor.close()


def scratch(track: Path | None, name: str) -> Path:
    """A page's place where none was named: a folder of its own that the system clears."""
    stem = track.stem if track is not None else f"model {Path(name).name}"
    return Path(tempfile.mkdtemp(prefix="portrait-")) / f"{stem}.html"


def open_in_browser(address: str) -> bool:
    """Whether a browser took it. Where there is no display, none is asked: one for terminals would take this one."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def _load(path: Path, model) -> Track:
    track = load_track(path, model)
    finite(track, path)
    return track
