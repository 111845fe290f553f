"""``portrait export`` of a whole clip: animated meshes, data sets for avatars, curves; see docs/export.md."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from facemodel import PortraitError, Track
from facemodel.editing.mixing import target_frames
from facemodel.export.animated.base import (
    ANIMATED,
    Checked,
    Performance,
    Picture,
    Window,
    export_animation,
    format_of,
    place_of,
)
from foundation.atomic import check_replaceable
from foundation.progress import Report, ignore
from neural_render import FrameCursor
from portrait.matte import PersonMatte
from portrait.pictures import as_bytes
from portrait.services.checks import check_output
from portrait.services.events import Notes
from portrait.services.exporting import check_texture, texture_of
from portrait.services.setup import Setup
from portrait.tracks import check_video, load_track
from portrait.video.writer import check_writable
from renderer import render

LISTED = 5  # frames that a note names


@dataclass(frozen=True)
class AnimationOptions:
    """What is written of a clip."""

    format: str | None = None  # a name of `facemodel.export.animated.base.ANIMATED`; None goes by the output's end
    texture: int | Path = 1024  # px a side of the albedo drawn; 0: coloured vertices; or a picture over the atlas
    video: Path | None = None  # the clip, for formats that have its pictures
    check: bool = False  # whether what was written is read again and compared

    def check_for(self, name: str) -> None:
        """Raises PortraitError for what can't be of that format."""
        form = ANIMATED[name]
        check_texture(self.texture, form.textured)
        if self.video is not None and not form.pictures:
            raise PortraitError(f"--video '{self.video}': '{name}' has no pictures of the clip; leave it out")


@dataclass(frozen=True)
class ExportedAnimation:
    """A clip in another program's format."""

    path: Path
    format: str
    title: str
    frames: int
    checked: Checked | None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        out = [f"{self.path}: {self.title}, {self.frames} frames; docs/export.md says how to open it"]
        return out if self.checked is None else [*out, f"  {self.checked}"]


def export_track(
    path: Path,
    output: Path,
    options: AnimationOptions = AnimationOptions(),
    *,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> ExportedAnimation:
    """Writes a whole clip; see `facemodel.export.animated.base`. PortraitError for what can't be written."""
    name = format_of(output, options.format)
    options.check_for(name)
    form = ANIMATED[name]
    place = place_of(output, form)
    if form.folder is None:
        check_output(place, path, options.video)
    else:
        check_replaceable(place, "export")
        check_writable(place / "export.json", path, options.video)
    model, notes = setup.started().face_model("cpu"), Notes(report)
    track = load_track(path, model)
    if note := gaps_note(track):
        notes.add(note)
    pictures = None
    if options.video is not None:
        pictures = ClipPictures(model, track, check_video(options.video, track, notes.add))
    texture, unlit = texture_of(model, track, options.texture, notes) if form.textured else (None, False)
    clip = Performance(track, model, texture, unlit, place.stem or "face", pictures)
    place, found = export_animation(clip, output, name, report)
    for note in found:
        notes.add(note)
    checked = form.check(clip, place) if options.check else None
    return ExportedAnimation(place, name, form.title, len(track), checked, tuple(notes))


def gaps_note(track: Track) -> str:
    """Where frames have no face; empty otherwise."""
    gaps = torch.nonzero(~track.tracked).flatten().tolist()
    if not gaps:
        return ""
    shown = ", ".join(map(str, gaps[:LISTED])) + (f" and {len(gaps) - LISTED} more" if len(gaps) > LISTED else "")
    return (
        f"no face in {len(gaps)} of {len(track)} frames ({shown}): meshes go on between neighbours, data sets leave "
        "them out"
    )


@dataclass(frozen=True)
class ClipPictures:
    """A clip's frames and the model's masks, read and drawn as they are asked for: see `Performance.pictures`."""

    model: object
    track: Track
    reader: object  # frames as (index, time, picture), of the track's size

    def __call__(self, frames: Sequence[int], window: Window, matte: bool) -> Iterator[Picture]:
        cursor, indices = FrameCursor(self.reader), target_frames(self.track)
        camera, parameters = window.of(self.track.camera), self.track.parameters.expanded()
        with PersonMatte() if matte else contextlib.nullcontext() as person:
            for frame in frames:
                with torch.inference_mode():
                    drawn = render(self.model, parameters[frame], camera, maps=("mask", "depth"))
                depth = drawn["depth"][0, ..., 0].cpu().numpy().round().astype(np.uint16)
                mask, image = as_bytes(drawn["mask"][0, ..., 0]), cursor.at(indices[frame])
                if person is not None:
                    mask = np.maximum(mask, cut(person(image), window))
                yield Picture(cut(image, window), mask, depth)
        cursor.close()


def cut(frame: np.ndarray, window: Window) -> np.ndarray:
    """A window of a picture (H, W, ...), black beyond its borders, at the window's size."""
    height, width = frame.shape[:2]
    (wide, high), (x, y) = window.side, (window.x, window.y)
    if (x, y, wide, high) == (0, 0, width, height) and window.size == (width, height):
        return frame
    part = frame[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)]
    top, left = max(0, -y), max(0, -x)
    padding = [(top, high - top - part.shape[0]), (left, wide - left - part.shape[1])] + [(0, 0)] * (frame.ndim - 2)
    smaller = window.size[0] < wide
    return cv2.resize(np.pad(part, padding), window.size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
