"""Frames of a camera, or of a video at its own rate: whoever asks gets the newest, never one that waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import PortraitError
from portrait.quiet import quiet_native_stderr
from portrait.video.reader import VideoReader
from portrait.video.source import file_hash

Timed = tuple[int, float, Any]
"""Index from 0, seconds after the first frame, and from a source (H, W, 3) uint8 RGB."""


@dataclass
class Source:
    """Where frames come from; iterating gives each when it is due."""

    name: str
    facts: dict  # a file's name and hash, or the camera's name
    width: int
    height: int
    frames: Iterator[Timed]


def open_source(name: str) -> Source:
    """A camera by number or device file (``0``, ``/dev/video0``), or a video file. PortraitError where it can't be."""
    if name.isdigit() or name.startswith("/dev/video"):
        return _camera(name)
    reader = VideoReader(Path(name))
    facts = {"file": reader.path.name, "sha256": file_hash(reader.path)}
    return Source(reader.path.name, facts, reader.width, reader.height, _paced(reader))


def _paced(reader: VideoReader) -> Iterator[Timed]:
    """The video's frames, each not before its time."""
    began = None
    for index, seconds, picture in reader:
        began = began or time.monotonic()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        yield index, seconds, picture


def _camera(name: str) -> Source:
    import cv2

    with quiet_native_stderr():
        camera = cv2.VideoCapture(int(name) if name.isdigit() else name)
    good, picture = camera.read()
    if not good:
        camera.release()
        raise PortraitError(f"source '{name}': no such camera, or it is in use; give another number, or a video")

    def frames() -> Iterator[Timed]:
        good, picture, index, began = True, first, 0, time.monotonic()
        try:
            while good:
                yield index, time.monotonic() - began, np.ascontiguousarray(picture[..., ::-1])
                good, picture = camera.read()
                index += 1
        finally:
            camera.release()

    first = picture
    return Source(f"camera {name}", {"camera": name}, picture.shape[1], picture.shape[0], frames())


class NewestFrame:
    """Reads a source, or what works on one, on a thread of its own and keeps one frame: the newest. A context manager.

    Frames that nobody took before the next one came are dropped, and counted.
    """

    def __init__(self, frames: Iterator[Timed]) -> None:
        self.dropped = 0
        self._frames, self._newest, self._ended, self._error = frames, None, False, None
        self._changed, self._stop = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        try:
            for frame in self._frames:
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._changed.notify()
                if self._stop.is_set():
                    break
        except Exception as error:  # handed to the thread that waits
            self._error = error
        finally:
            if hasattr(self._frames, "close"):
                self._frames.close()
            with self._changed:
                self._ended = True
                self._changed.notify()

    def __enter__(self) -> NewestFrame:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def __iter__(self) -> Iterator[Timed]:
        """The newest frame each time, waiting for it where there is none yet; ends with the source."""
        while True:
            with self._changed:
                while self._newest is None and not self._ended:
                    self._changed.wait(0.2)  # now and then, so that Ctrl-C comes through
                frame, self._newest = self._newest, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame
