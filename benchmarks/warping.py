"""What the fit finds of the movements that warped training pictures of Deep Video Portraits show.

    python -m benchmarks.warping --video V [--size 128]

The clip is fitted, warped as for a training, brought to the network's resolution, and fitted again. Of each moved shape
and of the gaze: ``correlation`` of what is asked for with what is found, and ``slope``, how much is found of one unit
asked for. ``WarpPolicy.gaze_gain`` is there to bring that of the gaze near one. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import facemodel
from neural_render.images import cut_out, resize_square
from neural_render.methods.deep_video_portraits.conditioning import head_crop
from neural_render.methods.deep_video_portraits.warping import WarpedFrames, WarpPolicy, performances
from portrait.services.fitting import fit_clip
from portrait.services.setup import Setup
from portrait.video import VideoReader, VideoWriter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--work", type=Path, help="default: VIDEO's name + .warping")
    o = parser.parse_args()
    work = o.work or Path(o.video.name + ".warping")
    model = facemodel.load()
    track = fit_clip(o.video, work / "target.track", setup=Setup(device="cpu"), replace_own=True).track
    asked = performances(track, model, 1)
    crop, output = head_crop(track, model), work / f"warped-{o.size}.mp4"
    pictures = WarpedFrames(model, track, asked, VideoReader(o.video), crop, 2 * o.size)
    with VideoWriter(output, track.width, track.height, track.fps) as writer:
        for _, seconds, frame in pictures:
            region = cut_out(frame, crop)
            region[:] = resize_square(resize_square(region, o.size), crop.side)
            writer.write(frame, seconds)
    fitted = fit_clip(output, output.with_suffix(".track"), setup=Setup(device="cpu"), replace_own=True).track

    both = asked.tracked & fitted.tracked
    wanted, found = (columns(t, model) for t in (asked, fitted))
    result, table = {}, Table("", "correlation", "slope")
    for name in wanted:
        a, b = (values[both].numpy() for values in (wanted[name], found[name]))
        result[name] = {"correlation": float(np.corrcoef(a, b)[0, 1]), "slope": float(np.polyfit(a, b, 1)[0])}
        table.add_row(name, *(f"{v:.2f}" for v in result[name].values()))
    Console().print(table)
    print(json.dumps({"video": o.video.name, "size": o.size, "shapes": result}))


def columns(track, model) -> dict:
    """(F,) activations of the shapes that warps move, and the mean gaze of both eyes."""
    names = [n for n in model.arkit if n.startswith(tuple(m.shape for m in WarpPolicy().moves))]
    shapes = {n: track.parameters.expression[:, model.arkit[n]] for n in names}
    gaze = track.parameters.gaze.mean(1)
    return {**shapes, "gaze_yaw": gaze[:, 0], "gaze_pitch": gaze[:, 1]}


if __name__ == "__main__":
    main()
