"""Tracks as services read and write them: one place where files, models and clips are held against each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from facemodel import PortraitError, Track
from facemodel.editing.mixing import is_mixed
from portrait.video import ImageReader, VideoReader, WithoutPadding, open_frames
from portrait.video.images import square_size, stored_shape
from portrait.video.writer import check_no_input, check_writable, stored_size


def load_track(path: Path, model=None) -> Track:
    """Reads a track folder; with ``model`` given it must be of that one. Raises PortraitError for anything else."""
    if path.is_file():
        raise PortraitError(f"track '{path}': expected the folder that 'portrait fit' wrote, found a file")
    if not path.exists():
        raise PortraitError(f"track '{path}': no such folder; make one with 'portrait fit VIDEO -o {path}'")
    return Track.load(path, model)


def is_track(path: Path) -> bool:
    return os.path.isfile(path / "track.json")  # False, too, in a folder that may not be looked into


def pixel_aspect(track: Track) -> Fraction:
    """Width over height of a pixel of the file that a track was fitted to, and of videos made of it."""
    source = track.facts.get("source") or {}
    return Fraction(*source["pixel_aspect"]) if "stored" in source else Fraction(1)


def altered(track: Track) -> str | None:
    """What was done to a track since its fit: "mixed" or "edited"; None where it is as 'portrait fit' wrote it."""
    if is_mixed(track):
        return "mixed"
    return "edited" if "edits" in track.facts or "curves" in track.facts else None


def check_new_folder(path: Path, *inputs: Path | None) -> None:
    """Raises PortraitError, before the work, where a track can't be written to ``path``, or it is one of the inputs."""
    check_no_input("track", path, *inputs)
    if not Path(os.path.abspath(path)).name:
        raise PortraitError(f"track '{path}': expected the name of a folder")
    if path.is_file():
        raise PortraitError(f"track '{path}': expected a folder to write to, found a file; choose another name")
    check_writable(path / "track.json")


def describe_track(track: Track) -> str:
    """``120 frames, 118 with a face (2 uncertain), 1 cut``."""
    from facemodel import FrameStatus

    count = lambda flag: int(track.where(flag).sum())  # noqa: E731
    parts = [f"{len(track)} frame{'s' if len(track) != 1 else ''}", f"{count(FrameStatus.TRACKED)} with a face"]
    if doubtful := count(FrameStatus.UNCERTAIN):
        parts[-1] += f" ({doubtful} uncertain)"
    if cuts := count(FrameStatus.CUT):
        parts.append(f"{cuts} cut{'s' if cuts != 1 else ''}")
    return ", ".join(parts)


def check_video(
    video: Path, track: Track, note: Callable[[str], None] | None = None
) -> VideoReader | ImageReader | WithoutPadding:
    """The reader of a track's video, which may be one that VideoWriter padded: its frames have the track's size.

    note: is told where the track was fitted to another file; None doesn't look.

    Raises PortraitError where it has another size or fewer frames.
    """
    frames, size = open_frames(video), (track.width, track.height)
    if isinstance(frames, VideoReader):
        aspect = frames.pixel_aspect
        if aspect != 1 and size == frames.stored:
            raise PortraitError(
                f"track of '{video}': an earlier version fitted its pixels ({aspect.numerator}:{aspect.denominator}) "
                "as if they were square; fit it again"
            )
        padded = square_size(*stored_size(*stored_shape(*size, aspect)), aspect)
        if (frames.width, frames.height) == padded != size:
            frames = WithoutPadding(frames, *size)
    if (frames.width, frames.height) != size:
        raise PortraitError(
            f"video '{video}': expected {track.width} x {track.height} as the track has it, "
            f"got {frames.width} x {frames.height}; give the video that the track belongs to"
        )
    needed = max(track.facts.get("target_frames") or [len(track) - 1]) + 1
    if frames.frame_count is not None and frames.frame_count < needed:
        raise PortraitError(
            f"video '{video}': expected at least {needed} frames for this track, it has {frames.frame_count}; "
            "give the video that the track belongs to"
        )
    if note is not None:
        text = other_file_note("the track was fitted to", track.facts.get("source"), video, frames.source["sha256"])
        if text is not None:
            note(text)
    return frames


def is_other_file(source: dict | None, digest: str | None) -> bool:
    """Whether a source, as facts have it, is known to have other bytes than a file with this hash."""
    return None not in ((source or {}).get("sha256"), digest) and source["sha256"] != digest


def other_file_note(what: str, source: dict | None, video: Path, digest: str) -> str | None:
    """Where ``what`` ("the track was fitted to") was another file: a new encoding is fine, another clip isn't.

    source: as facts have it. digest: hash of ``video``. None where there is nothing to say.
    """
    if not is_other_file(source, digest):
        return None
    return f"{what} another file than {video.name}; their frames must be the same"
