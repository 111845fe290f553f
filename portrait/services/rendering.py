"""``portrait render``: a track drawn, as videos or a picture of its maps, or over its video."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError, Track
from facemodel.editing.mixing import is_mixed, target_frames
from foundation.progress import Report, counted, ignore
from neural_render import FrameCursor
from portrait.files import synthetic_note, track_facts
from portrait.pictures import as_bytes, resize
from portrait.services.checks import check_names, check_number, check_output
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.services.synthesis import write_frames
from portrait.tracks import check_video, load_track, pixel_aspect
from portrait.video import VideoWriter
from portrait.video.png import SUFFIX, write_picture
from portrait.video.writer import FORMATS, check_writable, padding_note
from renderer import MAPS, overlay, render

CHUNK = 8  # frames drawn at a time
SIDES = (16, 8192)  # px


@dataclass(frozen=True)
class RenderOptions:
    """What is drawn."""

    maps: tuple[str, ...] = ("diffuse", "correspondence", "eyes")
    overlay: Path | None = None  # a video: the first map is drawn over it
    alpha: float = 0.7  # strength of the overlay, 0 to 1
    size: tuple[int, int | None] | None = None  # px; a height of None keeps the clip's shape, None its size

    def check(self) -> None:
        """Raises PortraitError for what can't be drawn."""
        if not self.maps:
            raise PortraitError(f"--maps: expected any of {','.join(MAPS)}, got nothing")
        check_names("map", self.maps, MAPS)
        check_number("alpha", self.alpha, 0, 1)
        if self.size is not None and not all(n is None or SIDES[0] <= n <= SIDES[1] for n in self.size):
            shown = "x".join(str(n) for n in self.size if n is not None)
            raise PortraitError(f"--size {shown}: expected WIDTHxHEIGHT or WIDTH, from {SIDES[0]} to {SIDES[1]} pixels")

    def picture_size(self, track: Track) -> tuple[int, int]:
        """Width and height of a drawn frame, px."""
        if self.size is None:
            return track.width, track.height
        width, height = self.size
        return width, height or min(max(SIDES[0], round(width * track.height / track.width)), SIDES[1])


@dataclass(frozen=True)
class Rendered:
    """Files of a drawn track."""

    path: Path  # a file, or the folder of one file a map
    maps: tuple[str, ...]
    over: Path | None  # the video that was drawn over
    one_each: bool
    width: int  # px of a drawn frame, one map
    height: int
    frames: int
    still: bool  # a picture, not a video
    pixel_aspect: Fraction = Fraction(1)  # of the file
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        padding = lambda wide: "" if self.still else padding_note(wide, self.height, self.pixel_aspect)  # noqa: E731
        size = f"{self.width} x {self.height}"
        if self.over is not None:
            what = f"{self.maps[0]} over {self.over.name}, {size}{padding(self.width)}"
        elif self.one_each:
            what = f"{', '.join(f'{n}.mp4' for n in self.maps)}, {size}{padding(self.width)}"
        else:
            what = f"{', '.join(self.maps)} side by side, {size} each{padding(len(self.maps) * self.width)}"
        return [f"{self.path}: {what}, {self.frames} frames"]


def render_track(
    path: Path,
    output: Path,
    options: RenderOptions = RenderOptions(),
    *,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Rendered:
    """Writes the maps side by side into one video, or one video a map into a folder; or one map over a video.

    A track of one frame makes a PNG too. Raises PortraitError for what can't be drawn or written.
    """
    options.check()
    check_output_kind(output, options)
    setup, notes = setup.started(), Notes(report)
    model = setup.face_model()
    track = load_track(path, model)
    still = is_still(output, track)
    write = write_still if still else write_video
    width, height = options.picture_size(track)
    note = synthetic_note("render", track=track_facts(path, track))
    show = lambda frames: counted(frames, report, "render", len(track))  # noqa: E731
    made = {"width": width, "height": height, "frames": len(track), "still": still, "pixel_aspect": pixel_aspect(track)}
    if options.overlay is not None:
        names = options.maps[:1]
        check_writable(output, options.overlay)
        reader = check_video(options.overlay, track, notes.add)
        frames = overlay_frames(model, track, reader, names[0], width, height, options.alpha)
        note |= {"video": {"file": options.overlay.name, "sha256": reader.source["sha256"]}}
        sound = options.overlay if reader.audio and not is_mixed(track) else None
        write(output, show(frames), track, audio_from=sound, note=note)
        return Rendered(output, names, options.overlay, False, **made, notes=tuple(notes))
    drawn = show(map_frames(model, track, options.maps, width, height))
    if one_each := not still and output.suffix.lower() not in FORMATS:
        write_each(output, drawn, options.maps, track, note)
    else:
        write(output, (np.concatenate([m[n] for n in options.maps], 1) for m in drawn), track, note=note)
    return Rendered(output, options.maps, None, one_each, **made, notes=tuple(notes))


def check_output_kind(output: Path, options: RenderOptions) -> None:
    """Raises PortraitError where the output is neither a video, nor a picture, nor a folder."""
    suffix = output.suffix.lower()
    if suffix in FORMATS or suffix == SUFFIX:
        check_output(output, options.overlay)
    elif options.overlay is not None:
        raise PortraitError(f"output '{output}': expected a name ending in {', '.join(FORMATS)} or {SUFFIX}")
    elif suffix or output.is_file():
        raise PortraitError(f"output '{output}': expected a folder, or a name ending in {', '.join(FORMATS)}")


def is_still(output: Path, track: Track) -> bool:
    """Whether the output is one picture. Raises PortraitError where the track has more."""
    still = output.suffix.lower() == SUFFIX
    if still and len(track) != 1:
        raise PortraitError(
            f"output '{output}': a picture is for a track of one frame, this one has {len(track)}; "
            f"expected a folder, or a name ending in {', '.join(FORMATS)}"
        )
    return still


def write_still(path: Path, frames: Iterable[np.ndarray], track: Track, *, audio_from=None, note: dict) -> None:
    """The one frame as a PNG; pictures are silent."""
    (picture,) = frames
    write_picture(path, picture, note)


def map_frames(model, track: Track, names: tuple[str, ...], width: int, height: int) -> Iterator[dict[str, np.ndarray]]:
    """Pictures of each map for every frame: name -> (height, width, 3) uint8."""
    for drawn in _drawn(model, track, names, width, height):
        yield {n: as_bytes(drawn[n].expand(*drawn[n].shape[:-1], 3)) for n in names}


def overlay_frames(
    model, track: Track, reader: Iterable, name: str, width: int, height: int, alpha: float
) -> Iterator[np.ndarray]:
    """The video's frames with a map drawn over, where the track has a face. (height, width, 3) uint8."""
    cursor = FrameCursor(reader)
    found = track.tracked.tolist()
    for k, (index, drawn) in enumerate(zip(target_frames(track), _drawn(model, track, (name,), width, height))):
        frame = resize(cursor.at(index), width, height)
        if found[k]:
            picture = torch.from_numpy(np.ascontiguousarray(frame))
            frame = overlay(picture, drawn[name], drawn["mask"], alpha).cpu().numpy()
        yield frame
    cursor.close()


def _drawn(model, track: Track, names: tuple[str, ...], width: int, height: int) -> Iterator[dict[str, torch.Tensor]]:
    """Maps of every frame and "mask", each (height, width, 1 or 3) in [0, 1]; near is bright in "depth"."""
    camera = track.camera.resized(width, height)
    near, far = _depth_range(model, track)
    for start in range(0, len(track), CHUNK):
        with torch.inference_mode():
            p = track.parameters[start : start + CHUNK].to(model.mean.device)
            drawn = render(model, p, camera, maps=[*dict.fromkeys([*names, "mask"])])
            if "depth" in drawn:
                drawn["depth"] = torch.where(drawn["mask"] > 0, (far - drawn["depth"]) / (far - near), 0.0)
        for k in range(len(drawn["mask"])):
            yield {n: values[k] for n, values in drawn.items()}


def write_video(path: Path, frames, track: Track, *, audio_from=None, note: dict) -> None:
    """Frames (one a frame of the track) to a video with the track's times and pixel shape."""
    times = track.seconds.tolist()
    write_frames(path, frames, times, track.fps, pixel_aspect(track), audio=audio_from, note=note)


def write_each(folder: Path, drawn, names: tuple[str, ...], track: Track, note: dict) -> None:
    """One video a map into a folder; all of them appear, or none."""
    writers: dict[str, VideoWriter] = {}
    times = track.seconds.tolist()
    with contextlib.ExitStack() as stack:
        for time, maps in zip(times, drawn):
            for name in names:
                if name not in writers:
                    height, width = maps[name].shape[:2]
                    writer = VideoWriter(
                        folder / f"{name}.mp4", width, height, track.fps, metadata=note | {"map": name}
                    )
                    writers[name] = stack.enter_context(writer)
                writers[name].write(maps[name], time)


def _depth_range(model, track: Track) -> tuple[float, float]:
    """Nearest and farthest depth, mm, that the head may have in the clip: what white and black stand for."""
    reach = float(model.mean.norm(dim=-1).max())
    depth = track.parameters.translation[..., 2].flatten()
    return float(depth.min()) - reach, float(depth.max()) + reach
