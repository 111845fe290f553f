"""Clips as another program would write them."""

import os
from fractions import Fraction

import av
import numpy as np


def picture(width=64, height=48, shift=0):
    """A smooth colourful picture, (height, width, 3) uint8, which H.264 keeps well."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x / width, y / height, 0.5 + 0.4 * np.sin((x + shift) / 9)], -1)
    return (255 * image).astype(np.uint8)


def write_raw(
    path, frames, pix_fmt="yuv420p", rate=25, codec="libx264", rotation=0, audio=None, aspect=None, colours=()
):
    """A clip as another program would write it; ``colours`` are the codes of primaries, transfer and matrix."""
    with av.open(os.path.abspath(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options={"crf": "12"} if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if colours:
            codec = stream.codec_context
            codec.color_primaries, codec.color_trc, codec.colorspace = colours
        if rotation:
            stream.set_display_rotation(rotation)
        if audio:
            sound = out.add_stream(audio, rate=8000, layout="mono")
        for frame in frames:
            kind = "rgb24" if frame.dtype == np.uint8 else "rgb48le"
            matrix = {"dst_colorspace": colours[2]} if colours else {}
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=kind).reformat(format=pix_fmt, **matrix)))
        out.mux(stream.encode(None))
        if audio:
            for k in range(len(frames)):
                samples = (8000 * np.sin(np.arange(320) / 5)).astype(np.int16)[None]
                chunk = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                chunk.sample_rate, chunk.pts, chunk.time_base = 8000, 320 * k, Fraction(1, 8000)
                out.mux(sound.encode(chunk))
            out.mux(sound.encode(None))
    return path
