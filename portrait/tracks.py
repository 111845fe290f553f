"""Tracks as the commands read and write them."""

from __future__ import annotations

from pathlib import Path

import facemodel
from facemodel import PortraitError, Track

from .video import VideoReader, WithoutPadding, open_frames
from .video_writer import check_writable, stored_size


def pick_device(name: str) -> str:
    """``auto`` becomes cuda where PyTorch has one. Raises PortraitError for a device that isn't there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise PortraitError(f"device: expected cpu, cuda or auto, got '{name}'")
    if kind == "cuda" and not torch.cuda.is_available():
        raise PortraitError("device 'cuda': PyTorch finds no GPU here; use --device cpu, or see 'portrait doctor'")
    return name


def load_track(path: Path, model=None) -> Track:
    """Reads a track folder. Raises PortraitError for anything else."""
    if path.is_file():
        raise PortraitError(f"track '{path}': expected the folder that 'portrait fit' wrote, found a file")
    if not path.exists():
        raise PortraitError(f"track '{path}': no such folder; make one with 'portrait fit VIDEO -o {path}'")
    return Track.load(path, model)


def open_video_of(track: Track, video: Path):
    """The reader of a track's video, which may be one that VideoWriter padded: its frames have the track's size.

    Raises PortraitError where it has another size.
    """
    reader, size = open_frames(video), (track.width, track.height)
    if (reader.width, reader.height) == size:
        return reader
    if isinstance(reader, VideoReader) and (reader.width, reader.height) == stored_size(*size):
        return WithoutPadding(reader, *size)
    raise PortraitError(
        f"video '{video}': expected {track.width} x {track.height} as the track has it, "
        f"got {reader.width} x {reader.height}; give the video that the track belongs to"
    )


def is_track(path: Path) -> bool:
    return (path / "track.json").is_file()


def default_model(device: str = "cpu"):
    return facemodel.load(device=device)


def check_new_folder(path: Path) -> None:
    """Raises PortraitError, before the work, where a track can't be written to ``path``."""
    if path.is_file():
        raise PortraitError(f"track '{path}': expected a folder to write to, found a file; choose another name")
    check_writable(path / "track.json")


def describe_track(track: Track) -> str:
    """``120 frames, 118 with a face (2 uncertain), 1 cut``."""
    from facemodel import FrameStatus

    count = lambda flag: int(((track.status & int(flag)) != 0).sum())  # noqa: E731
    parts = [f"{len(track)} frame{'s' if len(track) != 1 else ''}", f"{count(FrameStatus.TRACKED)} with a face"]
    if doubtful := count(FrameStatus.UNCERTAIN):
        parts[-1] += f" ({doubtful} uncertain)"
    if cuts := count(FrameStatus.CUT):
        parts.append(f"{cuts} cut{'s' if cuts != 1 else ''}")
    return ", ".join(parts)
