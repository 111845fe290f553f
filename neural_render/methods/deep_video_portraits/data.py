"""The training data of one clip: a bounded cache on disk of its maps and head crops."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.atomic import write_file
from foundation.errors import PortraitError, write_error
from foundation.progress import Event, Report, ignore
from neural_render.images import Crop, cut_out, resize_square
from neural_render.methods.common.texture import linear
from neural_render.methods.deep_video_portraits.conditioning import (
    CHANNELS,
    CONDITIONS,
    FACE,
    TEXTURED,
    WINDOW,
    render_maps,
    shot_starts,
    window_frames,
)

VERSION = 1
CHUNK = 16
"""Frames rendered at a time while the cache is made."""


def plan_frames(count: int, limit: int, segment: int = 96) -> np.ndarray:
    """Sorted indices of the frames to keep: all, or evenly spread runs of ``segment`` of at most ``limit`` in total."""
    if count <= limit:
        return np.arange(count)
    segment = min(segment, limit)
    runs = limit // segment
    firsts = np.linspace(0, count - segment, runs).round().astype(np.int64)
    return np.unique((firsts[:, None] + np.arange(segment)).ravel())


def digest(track: Track, crop: Crop, size: int, kept: np.ndarray, texture: torch.Tensor | None = None) -> str:
    """A name for what the cache of these inputs holds."""
    h = hashlib.sha256(
        json.dumps([VERSION, CONDITIONS, track.fingerprint, asdict(crop), size, track.width, track.height]).encode()
    )
    source = track.facts.get("source")
    h.update(json.dumps(source, sort_keys=True, default=str).encode())
    for f in fields(FaceParameters):
        h.update(getattr(track.parameters, f.name).detach().cpu().contiguous().numpy().reshape(-1))
    h.update(track.status.cpu().numpy().tobytes())
    h.update(kept.tobytes())
    if texture is not None:
        h.update(texture.numpy().tobytes())
    return h.hexdigest()[:32]


class ClipCache:
    """Maps and head crops of a clip's frames, uint8, in two flat files.

    Files are mapped into memory for the time of one read, so what stays resident doesn't grow with the clip; their
    total size is bounded by ``limit_bytes`` of ``build``, beyond which only evenly spread runs of frames are kept.
    """

    def __init__(
        self, folder: Path, name: str, crop: Crop, size: int, kept: np.ndarray, track: Track,
        texture: torch.Tensor | None = None,
    ) -> None:  # fmt: skip
        starts, tracked = shot_starts(track), track.tracked.cpu().numpy()
        self.folder, self.name, self.crop, self.size = folder, name, crop, size
        self.kept, self.starts, self.texture = kept, starts, texture
        self.channels = CHANNELS if texture is None else CHANNELS + TEXTURED
        first = window_frames(kept, starts)[:, 0]
        rows = np.searchsorted(kept, first)
        whole = kept[np.minimum(rows, len(kept) - 1)] == first  # the window's first frame is kept
        whole &= np.arange(len(kept)) - rows == kept - first  # and nothing between is missing
        self.frames = kept[whole & tracked[kept]]
        """(N,) frame indices that can be trained on: tracked, with their whole window in the cache."""

    def __len__(self) -> int:
        return len(self.frames)

    def _read(self, name: str, channels: int, frames: np.ndarray) -> np.ndarray:
        rows = np.searchsorted(self.kept, frames)
        shape = (len(self.kept), self.size, self.size, channels)
        return np.memmap(self.folder / name, np.uint8, "r", shape=shape)[rows]

    def maps(self, frames: np.ndarray) -> np.ndarray:
        """(..., size, size, 9 or 12) uint8 for an array of frame indices of any shape."""
        return self._read("maps.u8", self.channels, frames)

    def images(self, frames: np.ndarray) -> np.ndarray:
        """(..., size, size, 3) uint8: the real frames inside the crop."""
        return self._read("images.u8", 3, frames)

    def batch(self, samples: np.ndarray, window: int = WINDOW) -> tuple[torch.Tensor, torch.Tensor]:
        """Windows of maps (N, window, S, S, 9 or 12) and images (N, S, S, 3), uint8, of samples 0 to len - 1."""
        frames = self.frames[samples]
        maps = self.maps(window_frames(frames, self.starts, window))
        return torch.from_numpy(maps), torch.from_numpy(self.images(frames))

    def head_region(self) -> torch.Tensor:
        """(size, size) uint8: the share of up to 256 frames, 0 to 255, in which the rendered head covers a pixel."""
        frames = self.frames[np.linspace(0, len(self.frames) - 1, min(len(self.frames), 256)).round().astype(int)]
        total = np.zeros((self.size, self.size), np.float64)
        for chunk in np.array_split(frames, -(-len(frames) // CHUNK)):
            total += (self.maps(chunk)[..., FACE].max(-1) > 0).sum(0)
        return torch.from_numpy((total / len(frames) * 255).round().astype(np.uint8))

    def _whole(self) -> bool:
        """Whether both files are there as ``_write`` left them, for these inputs."""
        sizes = {"maps.u8": self.channels, "images.u8": 3}
        try:
            table = json.loads((self.folder / "cache.json").read_text())
            pixels = len(self.kept) * self.size**2
            whole = all((self.folder / n).stat().st_size == pixels * channels for n, channels in sizes.items())
        except (OSError, ValueError):
            return False
        return whole and isinstance(table, dict) and table.get("digest") == self.name

    def _write(self, track: Track, frames: Iterable, model, report: Report) -> None:
        """Writes both files, then the index that says that they are whole."""
        index = self.folder / "cache.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)
        with open(self.folder / "images.u8", "wb") as file:
            _write_images(file, track, frames, self.kept, crop=self.crop, size=self.size, report=report)
        albedo = None if self.texture is None else linear(self.texture, model)
        with open(self.folder / "maps.u8", "wb") as file:
            for done in range(0, len(self.kept), CHUNK):
                chunk = torch.from_numpy(self.kept[done : done + CHUNK])
                maps = render_maps(model, track, chunk, self.crop, self.size, texture=albedo)
                file.write(maps.tobytes())
                report(Event("maps", done, len(self.kept)))
        facts = {"digest": self.name, "size": self.size, "frames": len(self.kept), "crop": asdict(self.crop)}
        write_file(index, json.dumps(facts))

    @classmethod
    def build(
        cls,
        folder: str | os.PathLike,
        track: Track,
        frames: Iterable,
        model,
        *,
        crop: Crop,
        size: int,
        texture: torch.Tensor | None = None,
        limit_bytes: int = 4 << 30,
        report: Report = ignore,
    ) -> ClipCache:
        """The cache of these inputs, made if it isn't there.

        texture: (S, S, 3) uint8 sRGB, of ``common.texture.kept_texture``; its map is there too then.
        frames gives (index, time, (H, W, 3) uint8). Raises PortraitError where they don't fit the track, or where no
        frame can be trained on.
        """
        folder = Path(folder)
        kept = plan_frames(len(track), max(WINDOW, limit_bytes // (size * size * (CHANNELS + 3))))
        name = digest(track, crop, size, kept, texture)
        cache = cls(folder, name, crop, size, kept, track, texture)
        if len(cache) == 0:
            raise PortraitError("track: expected tracked frames to train on, found none; fit another clip")
        if cache._whole():
            return cache
        try:
            cache._write(track, frames, model, report)
        except OSError as error:
            raise write_error("training data", folder, error) from None
        return cache


def _write_images(
    file,
    track: Track,
    frames: Iterable,
    kept: np.ndarray,
    *,
    crop: Crop,
    size: int,
    report: Report,
) -> None:
    """Appends the crops of the kept frames, in their order."""
    wanted, written = iter(kept), 0
    want = next(wanted)
    for index, _time, rgb in frames:
        if rgb.shape[:2] != (track.height, track.width):
            raise PortraitError(
                f"video: expected frames of {track.width} x {track.height} as in the track, "
                f"got {rgb.shape[1]} x {rgb.shape[0]}; give the video that was fitted"
            )
        if index != want:
            continue
        file.write(np.ascontiguousarray(resize_square(cut_out(rgb, crop), size)).tobytes())
        written += 1
        if written % CHUNK == 0:
            report(Event("crops", written, len(kept)))
        want = next(wanted, None)
        if want is None:
            return
    raise PortraitError(
        f"video: expected {len(track)} frames as in the track, it ended before frame {want}; "
        "give the video that was fitted"
    )
