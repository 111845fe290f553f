"""How large the editor page is, and how far its vertices are from Python's.

    python -m benchmarks.page [--frames 500]

The last line is one JSON object: ``page_mb`` of a clip with its pictures, ``page_max_error_mm`` over three frames as
Chromium draws them, against `FaceModel.vertices`, for the default model; ``page_seconds`` to load it. The clip is made
of a synthetic head that plays the demo's performance in front of noise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import facemodel
from benchmarks.browser import COMPUTED, DRAWN, browser, opened, why_not
from facemodel import FaceModel, Track
from foundation.errors import PortraitError
from portrait.performance import scripted_performance
from portrait.services.viewing import ViewOptions, view_page
from portrait.video import VideoWriter


def page_figures(frames: int = 500) -> dict[str, float]:
    """``page_mb``, ``page_max_error_mm``, ``page_seconds``. PortraitError where there is no browser to ask."""
    if reason := why_not():
        raise PortraitError(f"page: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        track_path, video, page = (Path(folder) / name for name in ("clip.track", "clip.mp4", "page.html"))
        model = facemodel.load()
        track = long_performance(model, frames)
        track.save(track_path)
        write_clip(video, track)
        view_page(track_path, page, ViewOptions(video=video))
        size = page.stat().st_size / 1e6
        with browser() as started:
            began = time.perf_counter()
            with opened(started, page) as look:
                seconds = time.perf_counter() - began
                error = max_error(look, model, track, [0, frames // 3, frames - 1])
    return {"page_mb": round(size, 2), "page_max_error_mm": float(f"{error:.2g}"), "page_seconds": round(seconds, 1)}


def max_error(look, model: FaceModel, track: Track, frames: list[int], head: int = 0) -> float:
    """mm, the largest distance of a coordinate of a page's vertices, drawn and computed, from Python's."""
    p, errors = track.parameters.expanded(), []
    for k in frames:
        joints = p.joints[k].double() if model.count("joints") else None
        exact = model.double().vertices(p.identity[k].double(), p.expression[k].double(), p.gaze[k].double(), joints)
        for how in (DRAWN, COMPUTED):
            got = torch.tensor(look.run(how, [k, head])).reshape(-1, 3).double()
            errors.append(float((got - exact).abs().max()))
    model.float()
    return max(errors)


def long_performance(model: FaceModel, frames: int) -> Track:
    """The demo's performance again and again, of somebody who isn't the mean."""
    track = scripted_performance(model, 30.0, frames / 30.0)
    random = torch.Generator().manual_seed(1)
    identity = torch.randn(model.count("identity"), generator=random)
    p = track.parameters.replace(identity=identity.expand(*track.parameters.identity.shape))
    return track.with_parameters(p)


def write_clip(path: Path, track: Track) -> None:
    """A clip of a track's size: a picture that moves, as hard to compress as a room."""
    random = np.random.default_rng(0)
    grid = random.integers(0, 255, (24, 24, 3)).astype(np.float32)
    import cv2

    room = cv2.resize(grid, (track.width + 64, track.height + 64), interpolation=cv2.INTER_CUBIC)
    room = np.clip(room + random.normal(0, 6, room.shape), 0, 255).astype(np.uint8)
    with VideoWriter(path, track.width, track.height, track.fps) as writer:
        for k, t in enumerate(track.seconds.tolist()):
            x, y = int(32 + 30 * np.sin(k / 40)), int(32 + 30 * np.cos(k / 55))
            writer.write(np.ascontiguousarray(room[y : y + track.height, x : x + track.width]), t)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=500)
    print(json.dumps(page_figures(parser.parse_args().frames)))


if __name__ == "__main__":
    main()
