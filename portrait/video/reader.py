"""Frames of a video, an image or a folder of images, one at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from foundation.errors import PortraitError
from portrait.video.images import (
    check_readable_file,
    credible_aspect,
    image_size,
    is_image,
    list_images,
    read_image,
    square_size,
)
from portrait.video.png import read_picture_note
from portrait.video.source import source_facts
from portrait.video.tonemap import BT2020_PRIMARIES, TRANSFERS, to_sdr, wide_to_srgb

DEFAULT_FPS = 25.0
BT2020_MATRIX, UNSPECIFIED = 9, 2  # by the codes of ITU-T H.273


class VideoReader:
    """The frames of a video file, decoded as they are asked for; can be iterated again and again.

    Iterating gives ``(index, time, frame)``: index from 0, time in seconds after the first frame, and the
    frame as (height, width, 3) uint8 sRGB, turned upright (rotation metadata is applied), of square pixels. Grey,
    10-bit and other pixel formats become 8-bit RGB; HDR (HLG, PQ) is tone-mapped (`portrait.video.tonemap`), which
    ``notes`` say. Times are those of the file, so a variable frame rate is kept.

    ``pixel_aspect`` is the file's own pixel shape (1 = square), which VideoWriter gives back to an output, ``stored``
    the upright width and height of its frames by its own pixels.
    square: False leaves frames as stored. Raises PortraitError where the file is missing, isn't a video, holds no
    frame, or breaks off.
    """

    def __init__(self, path: str | os.PathLike, square: bool = True):
        import av

        self.path = Path(path)
        check_readable_file(self.path, "video")
        try:
            with av.open(local(self.path)) as container:
                if not container.streams.video:
                    raise PortraitError(f"video '{self.path}': holds no pictures (only sound); give a video")
                stream = container.streams.video[0]
                first = next(container.decode(stream), None)
                if first is None:
                    raise PortraitError(f"video '{self.path}': holds 0 frames; give a video with at least one")
                check_whole(self.path, stream)
                self._turns = round(first.rotation / 90) % 4
                aspect = credible_aspect(Fraction(stream.sample_aspect_ratio or 1))
                self._size = square_size(first.width, first.height, aspect if square else Fraction(1))
                self._start = first.time or 0.0
                self.audio = bool(container.streams.audio)
                self.fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
                self.frame_count = stream.frames or None
                self.pixel_format = stream.codec_context.pix_fmt
                self.codec = stream.codec_context.name
                self.metadata = dict(container.metadata)
                self.transfer = TRANSFERS.get(int(first.color_trc))
                self._wide = int(first.color_primaries) == BT2020_PRIMARIES
        except PortraitError:
            raise
        except reading_errors() as error:
            raise _unreadable(self.path, error) from None
        swapped = self._turns % 2 == 1
        self.width, self.height = self._size[::-1] if swapped else self._size
        self.pixel_aspect = 1 / aspect if swapped else aspect
        self.stored = (first.height, first.width) if swapped else (first.width, first.height)

    @property
    def notes(self) -> list[str]:
        """What was done to the pixels that who sees the results should know."""
        return [f"HDR video ({self.transfer}): tone-mapped to SDR by BT.2390"] if self.transfer else []

    @cached_property
    def source(self) -> dict:
        """What a track remembers of where its frames are from: the file's name and hash; see `source`."""
        return source_facts(self)

    @property
    def start(self) -> float:
        """The file's own time of the first frame, in seconds: what sound is shifted by."""
        return self._start

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        import av

        index, broken = -1, reading_errors()  # now: frames that nobody took to the end are given up as Python ends
        try:
            with av.open(local(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for index, frame in enumerate(container.decode(stream)):
                    time = frame.time
                    time = index / self.fps if time is None else time - self._start
                    yield index, time, self._upright(frame)
        except broken as error:
            raise PortraitError(
                f"video '{self.path}': breaks off after frame {index} of {self.frame_count or 'unknown'} "
                f"({_reason(error)}); get a whole copy, or cut it there first"
            ) from None

    def _upright(self, frame) -> np.ndarray:
        """A decoded frame as (height, width, 3) uint8 sRGB in the size of the first."""
        width, height = self._size
        if self.transfer or self._wide:
            wide = BT2020_MATRIX if frame.colorspace == UNSPECIFIED else None
            deep = frame.reformat(width, height, "rgb48le", src_colorspace=wide).to_ndarray()
            image = to_sdr(deep, self.transfer) if self.transfer else wide_to_srgb(deep)
        else:
            if (frame.width, frame.height) != self._size:
                frame = frame.reformat(width, height, "rgb24", interpolation="BICUBIC")
            image = frame.to_ndarray(format="rgb24")
        # the display matrix' angle is counter-clockwise, and so is rot90
        return np.ascontiguousarray(np.rot90(image, self._turns) if self._turns else image)


class ImageReader:
    """One image, or a folder of them in the natural order of their names, as frames.

    Interface of VideoReader; images follow each other at 25 a second. EXIF rotation is applied. Images of several sizes
    (``several_sizes``) become frames of one: scaled to the same diagonal, for photos mostly have the same angle of view
    along it, upright or not, and put into the middle of black frames.
    """

    def __init__(self, path: str | os.PathLike, fps: float = DEFAULT_FPS):
        self.path, self.fps = Path(path), fps
        if self.path.is_dir():
            self.files = list_images(self.path)
        else:
            self.files = [self.path]
        self.sizes = [image_size(file) for file in self.files]
        self.several_sizes = len(set(self.sizes)) > 1
        self.diagonal = float(np.median([math.hypot(*size) for size in self.sizes]))
        self.width, self.height = (max(sides) for sides in zip(*map(self._shown, self.sizes)))
        self.frame_count, self.audio = len(self.files), False
        self.metadata = read_picture_note(self.path)
        self.pixel_aspect, self.start = Fraction(1), 0.0
        self.notes: list[str] = []
        self.codec, self.pixel_format = self.files[0].suffix[1:].lower(), "rgb24"

    @cached_property
    def source(self) -> dict:
        """What a track remembers of where its frames are from: the file's name and hash; see `source`."""
        return source_facts(self)

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        for index, (file, size) in enumerate(zip(self.files, self.sizes)):
            image = read_image(file)
            if image.shape[1::-1] != size:
                raise PortraitError(
                    f"image '{file}': was {size[0]} x {size[1]}, is {image.shape[1]} x {image.shape[0]} now; "
                    "leave the folder alone while it is read"
                )
            yield index, index / self.fps, self._framed(image) if self.several_sizes else image

    def _shown(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height at which an image of this size is shown."""
        if not self.several_sizes:
            return size
        scale = self.diagonal / math.hypot(*size)
        return round(size[0] * scale), round(size[1] * scale)

    def _framed(self, image: np.ndarray) -> np.ndarray:
        import cv2

        width, height = self._shown(image.shape[1::-1])
        smaller = width < image.shape[1]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        frame = np.zeros((self.height, self.width, 3), np.uint8)
        top, left = (self.height - height) // 2, (self.width - width) // 2
        frame[top : top + height, left : left + width] = image
        return frame


class WithoutPadding:
    """A reader's frames without the row and the column that VideoWriter repeated at the bottom and the right."""

    def __init__(self, reader: VideoReader, width: int, height: int):
        self.reader, self.width, self.height = reader, width, height

    def __getattr__(self, name: str):
        return getattr(self.reader, name)

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        for index, time, frame in self.reader:
            yield index, time, frame[: self.height, : self.width]


def open_frames(path: str | os.PathLike) -> VideoReader | ImageReader:
    """The reader for a video file, an image file or a folder of images."""
    path = Path(path)
    return ImageReader(path) if path.is_dir() or is_image(path) else VideoReader(path)


def local(path: str | os.PathLike) -> str:
    """A file's name as FFmpeg takes it for a file's: ``take:1.mp4`` has no protocol, ``-x.mp4`` is no option."""
    return os.path.abspath(path)


def reading_errors() -> tuple[type[Exception], ...]:
    """What PyAV raises at files that are broken or no media."""
    import av

    return av.error.FFmpegError, OSError, ValueError, LookupError, OverflowError, MemoryError, ZeroDivisionError


def has_sound(path: Path) -> bool:
    """Whether a file holds sound, with or without pictures."""
    import av

    try:
        with av.open(local(path)) as container:
            return bool(container.streams.audio)
    except reading_errors():
        return False


def check_whole(path: Path, stream) -> None:
    """Raises PortraitError where the file's index points past its end: the decoder alone stops there silently."""
    ends = [entry.pos + entry.size for entry in stream.index_entries]
    size = path.stat().st_size
    if ends and max(ends) > size:
        whole = sum(end <= size for end in ends)
        raise PortraitError(
            f"video '{path}': is truncated, only {whole} of its {len(ends)} frames are there; get a whole copy"
        )


def _unreadable(path: Path, error: Exception) -> PortraitError:
    return PortraitError(
        f"video '{path}': can't be read as a video ({_reason(error)}); it is truncated or no video: get a whole copy"
    )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
