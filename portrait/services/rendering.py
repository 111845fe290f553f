"""``portrait render``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError, Track
from facemodel.editing.mixing import is_mixed, target_frames
from foundation.errors import unknown_name
from neural_render import FrameCursor
from portrait.files import file_hash, synthetic_note, track_facts
from portrait.progress import Progress, say
from portrait.reports.pictures import SUFFIX, write_picture
from portrait.tracks import check_video, default_model, load_track, note_other_file, pick_device, pixel_aspect
from portrait.video import VideoWriter
from portrait.video.writer import FORMATS, check_writable, padding_note
from renderer import MAPS, Camera, overlay, render

CHUNK = 8  # frames drawn at a time


def render_track(
    path: Path, output: Path, *, maps: str | None, overlay: Path | None, alpha: float, size: str | None, device: str
) -> None:
    """Writes the maps side by side into one video, or one video a map into a folder; or one map over a video.

    A track of one frame makes a PNG too.
    """
    device = pick_device(device)
    model = default_model(device)
    track = load_track(path, model)
    names = map_names(maps or "diffuse")
    still = is_still(output, track)
    write = write_still if still else write_video
    width, height = picture_size(size, track.width, track.height)
    padding = lambda wide: "" if still else padding_note(wide, height, pixel_aspect(track))  # noqa: E731
    one = f"{width} x {height}{padding(width)}"
    note = synthetic_note("render", track=track_facts(path, track))
    with Progress() as progress:
        if overlay is not None:
            check_writable(output, overlay)
            reader, digest = check_video(overlay, track), file_hash(overlay)
            note_other_file("the track was fitted to", track.facts.get("source"), overlay, digest)
            frames = progress.over(
                overlay_frames(model, track, reader, names[0], width, height, alpha), len(track), "render"
            )
            note |= {"video": {"file": overlay.name, "sha256": digest}}
            sound = overlay if reader.audio and not is_mixed(track) else None
            write(output, frames, track, audio_from=sound, note=note)
            say(f"{output}: {names[0]} over {overlay.name}, {one}, {len(track)} frames")
            return
        one_each = not still and output.suffix.lower() not in FORMATS
        if one_each and (output.suffix or output.is_file()):
            raise PortraitError(f"output '{output}': expected a folder, or a name ending in {', '.join(FORMATS)}")
        drawn = progress.over(map_frames(model, track, names, width, height), len(track), "render")
        if not one_each:
            write(output, (np.concatenate([m[n] for n in names], 1) for m in drawn), track, note=note)
            padded = padding(len(names) * width)
            say(f"{output}: {', '.join(names)} side by side, {width} x {height} each{padded}, {len(track)} frames")
            return
        write_each(output, drawn, names, track, note)
        say(f"{output}: {', '.join(f'{n}.mp4' for n in names)}, {one}, {len(track)} frames")


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
    check_writable(path)
    (picture,) = frames
    write_picture(path, picture, note)


def map_frames(model, track: Track, names: list[str], width: int, height: int) -> Iterator[dict[str, np.ndarray]]:
    """Pictures of each map for every frame: name -> (height, width, 3) uint8."""
    camera = camera_of(track).resized(width, height)
    near, far = _depth_range(model, track)
    with torch.inference_mode():
        for start in range(0, len(track), CHUNK):
            p = track.parameters[start : start + CHUNK].to(model.mean.device)
            drawn = render(model, p, camera, maps=[*names, "mask"])
            if "depth" in drawn:
                mask = drawn["mask"] > 0
                drawn["depth"] = torch.where(mask, (far - drawn["depth"]) / (far - near), 0.0)
            pictures = {n: to_uint8(drawn[n]) for n in names}
            for k in range(len(pictures[names[0]])):
                yield {n: pictures[n][k] for n in names}


def overlay_frames(
    model, track: Track, reader: Iterable, name: str, width: int, height: int, alpha: float
) -> Iterator[np.ndarray]:
    """The video's frames with a map drawn over, where the track has a face. (height, width, 3) uint8."""
    cursor = FrameCursor(reader)
    order, found = target_frames(track), track.tracked.tolist()
    camera = camera_of(track).resized(width, height)
    near, far = _depth_range(model, track)
    with torch.inference_mode():
        for start in range(0, len(track), CHUNK):
            p = track.parameters[start : start + CHUNK].to(model.mean.device)
            drawn = render(model, p, camera, maps=[name, "mask"])
            if name == "depth":
                drawn["depth"] = (far - drawn["depth"]) / (far - near)
            for k, index in enumerate(order[start : start + CHUNK]):
                frame = resize(cursor.at(index), width, height)
                if not found[start + k]:
                    yield frame
                    continue
                blended = overlay(
                    torch.from_numpy(np.ascontiguousarray(frame)), drawn[name][k], drawn["mask"][k], alpha
                )
                yield blended.cpu().numpy()
    cursor.close()


def write_video(path: Path, frames, track: Track, *, audio_from=None, note: dict, width: int = 0) -> Path:
    """Frames (one a frame of the track) to a video with the track's times and pixel shape."""
    frames = iter(frames)
    first = next(frames)
    writer = VideoWriter(
        path,
        first.shape[1],
        first.shape[0],
        track.fps,
        audio_from=audio_from,
        metadata=note,
        pixel_aspect=pixel_aspect(track),
    )
    times = (track.times - track.times[0]).tolist()
    with writer:
        writer.write(first, times[0])
        for time, frame in zip(times[1:], frames):
            writer.write(frame, time)
    return path


def write_each(folder: Path, drawn, names: list[str], track: Track, note: dict) -> None:
    """One video a map into a folder; all of them appear, or none."""
    import contextlib

    writers: dict[str, VideoWriter] = {}
    times = (track.times - track.times[0]).tolist()
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


def map_names(maps: str) -> list[str]:
    """``diffuse,eyes`` as a list. Raises PortraitError for unknown ones."""
    names = list(dict.fromkeys(name.strip() for name in maps.split(",") if name.strip()))
    for name in names:
        if name not in MAPS:
            raise unknown_name("map", name, MAPS)
    if not names:
        raise PortraitError(f"--maps: expected any of {','.join(MAPS)}, got nothing")
    return names


def picture_size(size: str | None, width: int, height: int) -> tuple[int, int]:
    """``640x360``, or ``640`` (a width, the shape kept), in pixels; None is the clip's own."""
    if size is None:
        return width, height
    numbers = size.lower().split("x")
    if not 1 <= len(numbers) <= 2 or not all(n.strip().isdigit() and 16 <= int(n) <= 8192 for n in numbers):
        raise PortraitError(f"--size '{size}': expected WIDTHxHEIGHT or WIDTH, from 16 to 8192 pixels")
    chosen = int(numbers[0])
    return chosen, int(numbers[1]) if len(numbers) == 2 else max(16, round(chosen * height / width))


def camera_of(track: Track) -> Camera:
    """The camera of the track's own frames."""
    return Camera(float(track.parameters.focal.flatten()[0]), track.width, track.height)


def to_uint8(picture: torch.Tensor) -> np.ndarray:
    """(..., 1 or 3) in [0, 1] -> (..., 3) uint8."""
    picture = (picture.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return (picture.expand(*picture.shape[:-1], 3) if picture.shape[-1] == 1 else picture).numpy()


def resize(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame at another size: averaged when smaller, cubic when larger."""
    import cv2

    if frame.shape[:2] == (height, width):
        return frame
    smaller = width < frame.shape[1]
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _depth_range(model, track: Track) -> tuple[float, float]:
    """Nearest and farthest depth, mm, that the head may have in the clip: what white and black stand for."""
    reach = float(model.mean.norm(dim=-1).max())
    depth = track.parameters.translation[..., 2].flatten()
    return float(depth.min()) - reach, float(depth.max()) + reach
