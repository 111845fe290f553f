"""Writing H.264 video with the sound of another file; the output appears whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from foundation.errors import PortraitError, write_error
from portrait.video.images import stored_shape

CLOCK = Fraction(1, 90000)  # seconds a tick of the video stream: holds any frame's time to 11 microseconds
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}


class VideoWriter:
    """Frames to an H.264 file, as a context manager.

    Writes ``<path>.partial`` and renames it when everything is written; leaving the ``with`` block by an
    exception (Ctrl-C too) removes it. Odd sizes are padded to even ones by repeating the last row or column,
    since the pixel format needs that (`stored_size`).

    path: .mp4, .mov or .mkv. width, height: of the frames, px. fps: the nominal rate.
    audio_from: a file whose sound is copied (re-encoded to AAC only where the container can't hold its codec),
        cut to the pictures' length. pixel_aspect: shape of a pixel of the file, as VideoReader has it: the frames,
        whose pixels are square, are stored so that a file of that shape gives its shape again.
    metadata: kept as JSON in the file's ``comment`` (``read_comment`` gives it back).
    Raises PortraitError for a path that can't be written and a full disk.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        width: int,
        height: int,
        fps: float,
        *,
        audio_from: str | os.PathLike | None = None,
        metadata: dict | None = None,
        crf: int = 18,
        preset: str = "medium",
        pixel_aspect: Fraction = Fraction(1),
    ):
        import av

        self.path = Path(path)
        if self.path.suffix.lower() not in FORMATS:
            raise PortraitError(f"output '{self.path}': expected a name ending in {', '.join(FORMATS)}")
        check_writable(self.path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.width, self.height, self.fps = width, height, float(fps)
        self.frame_count, self._last_time = 0, 0.0
        self._closed, self._audio, self._container = False, None, None
        with self._whole_or_none():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(os.path.abspath(self.partial), "w", format=FORMATS[self.path.suffix.lower()])
            if metadata:
                self._container.metadata["comment"] = json.dumps(metadata, ensure_ascii=False)
            rate = Fraction(self.fps).limit_denominator(1001)
            stream = self._container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": preset})
            self._shape = stored_shape(width, height, pixel_aspect)
            stream.width, stream.height = stored_size(*self._shape)
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = CLOCK
            stream.codec_context.sample_aspect_ratio = pixel_aspect
            _tag_colours(stream.codec_context)
            self._stream = stream
            if audio_from is not None:
                self._audio = AudioCopy.open(self._container, audio_from)

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Adds a frame. frame: (height, width, 3) uint8 sRGB. time: seconds, later than the last one's."""
        import av

        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"frame: expected ({self.height}, {self.width}, 3) uint8, got {frame.shape} {frame.dtype}")
        if time is None:
            time = self.frame_count / self.fps
        if self.frame_count and time <= self._last_time:
            time = self._last_time + float(CLOCK)
        width, height = self._shape
        if (width, height) != (self.width, self.height):
            import cv2

            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        picture.time_base, picture.pts = CLOCK, round(time / CLOCK)
        picture.duration = round(1 / self.fps / CLOCK)
        with self._whole_or_none():
            self._container.mux(self._stream.encode(picture))
            if self._audio:
                self._audio.copy_until(time)
        self.frame_count, self._last_time = self.frame_count + 1, time

    def close(self) -> Path:
        """Finishes the file and puts it in place."""
        if self._closed:
            return self.path
        if self.frame_count == 0:
            self.abort()
            raise PortraitError(f"output '{self.path}': nothing to write, there are 0 frames")
        with self._whole_or_none():
            self._container.mux(self._stream.encode(None))
            if self._audio:
                self._audio.copy_until(self._last_time + 1 / self.fps)
                self._audio.close()
            self._container.close()
            os.replace(self.partial, self.path)
        self._closed = True
        return self.path

    def abort(self) -> None:
        """Gives up: removes what was written."""
        import av

        self._closed = True
        for closing in (self._audio, self._container):
            try:
                if closing is not None:
                    closing.close()
            except (av.error.FFmpegError, OSError):
                pass  # a full disk refuses the trailer too; the file is removed next
        self.partial.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None:
            self.close()
        elif not self._closed:
            self.abort()

    @contextlib.contextmanager
    def _whole_or_none(self):
        """Gives up whatever goes wrong; what FFmpeg or the disk refuses is a PortraitError."""
        import av

        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise write_error("output", self.path, error) from None
        except BaseException:
            self.abort()
            raise


class AudioCopy:
    """Copies the packets of a file's first sound stream into a container, as far as asked for."""

    def __init__(self, container, source, stream, output, *, shift: float, encode: bool):
        self._container, self._source, self._input = container, source, stream
        self._output, self._shift, self._encode = output, shift, encode
        self._packets = source.demux(stream)
        self._waiting = None
        self._done = False

    @classmethod
    def open(cls, container, path: str | os.PathLike) -> AudioCopy | None:
        """None where the file has no sound."""
        import av

        source = av.open(os.path.abspath(path))
        if not source.streams.audio:
            source.close()
            return None
        stream, shift = source.streams.audio[0], 0.0
        if source.streams.video:
            first = next(source.decode(source.streams.video[0]), None)
            shift = float(first.time or 0.0) if first is not None else 0.0
            source.seek(0)
        encode = stream.codec_context.name not in container.supported_codecs
        if encode:
            output = container.add_stream("aac", rate=stream.codec_context.sample_rate)
        else:
            output = container.add_stream_from_template(stream)
        return cls(container, source, stream, output, shift=shift, encode=encode)

    def copy_until(self, time: float) -> None:
        """Muxes the sound that begins before ``time``, in seconds of the output."""
        while not self._done:
            packet = self._waiting or next(self._packets, None)
            if packet is None or (packet.dts is None and packet.size == 0):
                self._done = True
                break
            begin = float((packet.pts or 0) * packet.time_base) - self._shift
            if begin >= time:
                self._waiting = packet
                break
            self._waiting = None
            end = begin + float((packet.duration or 0) * packet.time_base)
            if end >= -1e-3 or self._encode:  # the packet before the first is the codec's run-up: kept
                self._copy(packet)

    def _copy(self, packet) -> None:
        offset = round(self._shift / packet.time_base)
        if not self._encode:
            packet.pts -= offset
            packet.dts -= offset
            packet.stream = self._output
            self._container.mux(packet)
            return
        for frame in packet.decode():
            if frame.time - self._shift >= -1e-3:
                frame.pts -= round(self._shift / frame.time_base)
                self._container.mux(self._output.encode(frame))

    def close(self) -> None:
        if self._encode and self._source is not None:
            self._container.mux(self._output.encode(None))
        if self._source is not None:
            self._source.close()
            self._source = None


def stored_size(width: int, height: int) -> tuple[int, int]:
    """The size in px of a video of such frames: even, as H.264's usual pixel format needs it."""
    return width + width % 2, height + height % 2


def padding_note(width: int, height: int, pixel_aspect: Fraction = Fraction(1)) -> str:
    """For a message that says the size of frames: what is stored, where that is another."""
    shape = stored_shape(width, height, pixel_aspect)
    wide, high = stored_size(*shape)
    if (wide, high) == (width, height):
        return ""
    why = "H.264 needs even sizes" if shape == (width, height) else "pixels shaped as the original's"
    return f" (stored as {wide} x {high}: {why})"


def _tag_colours(codec) -> None:
    """Says in the stream what the pixels are: BT.709, studio range."""
    codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = 1, 1, 1, 1


def read_comment(metadata: dict) -> dict | None:
    """What VideoWriter was given as ``metadata``, out of a file's tags; None where there is nothing of ours."""
    try:
        table = json.loads(metadata.get("comment") or metadata.get("COMMENT") or "")
    except ValueError:
        return None
    return table if isinstance(table, dict) else None


def check_no_input(what: str, path: Path, *inputs: Path | None) -> None:
    """Raises PortraitError where an output is one of the inputs, under whatever name."""
    for other in inputs:
        if other is not None and path.exists() and other.exists() and path.samefile(other):
            raise PortraitError(f"{what} '{path}': is an input too and would be lost; choose another name")


def check_writable(path: Path, *inputs: Path | None) -> None:
    """Raises PortraitError where a file can't be made at ``path``, or is one of the inputs. Leaves nothing there."""
    check_no_input("output", path, *inputs)
    if path.is_dir():
        raise PortraitError(f"output '{path}': expected a file name, found a folder; give a name inside it")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise PortraitError(f"output '{path}': '{folder}' is a file, not a folder; choose another place")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise PortraitError(
            f"output '{path}': '{folder}' can't be written to ({reason}); choose another place"
        ) from None
    if path.exists() and not os.access(path, os.W_OK):
        raise PortraitError(f"output '{path}': is there and may not be written (permissions); choose another name")
