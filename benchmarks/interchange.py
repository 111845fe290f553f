"""Does what goes out arrive? Every format of a clip, read by something that this project didn't write.

    python -m benchmarks.interchange [TRACK] [--video VIDEO]

Writes TRACK, or a synthetic person's scripted performance, in every format of `portrait export`, reads it with other
people's code (`benchmarks.interchange_readers`), and compares vertices, pixels and numbers. Formats of FLAME are tried
with a made-up head in FLAME's form. Prints a table, then one JSON line: ``formats`` that arrived, ``worst_mm`` and
``worst_px`` over all of them, ``absent``, whose readers aren't installed, ``by_format``, ``seconds`` to write each
(``glb_500``: an animated .glb of 500 frames); ``page_*`` and ``latency_ms`` of the editor page and the live stream,
where `benchmarks.page` and `benchmarks.stream` can tell.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import facemodel
from benchmarks.interchange_readers import FLAME, READERS, Absent
from benchmarks.model_files import Evaluation, make_head, write_flame
from benchmarks.page import long_performance
from facemodel import FaceModel, FaceParameters, FrameStatus, Track
from facemodel.export.animated.base import ANIMATED, Checked, Performance, export_animation
from facemodel.importing import import_model
from foundation.errors import PortraitError
from portrait.services.animation import ClipPictures
from portrait.tracks import check_video, load_track

FRAMES, LONG = 60, 500
ENDS = {"openface": ".csv"}  # of formats that aren't asked for by a name's end
EQUAL = {"mm": 1e-3, "px": 0.1, "value": 1e-6}


class Stripes:
    """Pictures of a track's size, for a track whose clip isn't given."""

    def __init__(self, track: Track) -> None:
        self.track = track

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        height, width = self.track.height, self.track.width
        for k, seconds in enumerate(self.track.seconds.tolist()):
            row = (np.arange(width) + k).astype(np.uint8)
            yield k, seconds, np.broadcast_to(row[:, None], (height, width, 3)).copy()


def waves(model: FaceModel, frames: int) -> Track:
    """A performance of any model: every coefficient and the pose go up and down within their bounds."""
    times = torch.arange(frames, dtype=torch.float64) / 30
    neutral = FaceParameters.neutral(model, (frames,), focal=900.0)

    def wave(count: int, size: float = 1.0) -> torch.Tensor:
        pace = 1 + torch.arange(count) % 7
        return (size * torch.sin(times[:, None] * pace + torch.arange(count))).float()

    blocks, place = model.blocks, torch.tensor([10.0, -5.0, 700.0])
    expression = blocks["expression"]
    p = neutral.replace(
        identity=torch.randn(model.count("identity"), generator=torch.Generator().manual_seed(0)),
        reflectance=neutral.reflectance[0],
        focal=torch.tensor(900.0),
        expression=expression.clamp(expression.mean + expression.std * wave(len(expression), 0.5)),
        rotation=wave(3, 0.3),
        translation=place + wave(3, 20.0),
        gaze=wave(4, 0.3).reshape(-1, 2, 2),
        joints=wave(model.count("joints"), 0.1),
    )
    tracked = torch.full((frames,), int(FrameStatus.TRACKED))
    return Track(model.name, model.fingerprint, 640, 480, p, times, tracked, torch.ones(frames))


def flame_clip(folder: Path, frames: int) -> tuple[Performance, Evaluation]:
    """A made-up head in FLAME's form, and its authors' formula."""
    written = write_flame(folder, make_head())
    model = import_model(written.path, written.extras, force=True)
    track = waves(model, frames)
    return Performance(track, model, pictures=ClipPictures(model, track, Stripes(track))), written.evaluate


def arrive(name: str, clip: Performance, folder: Path, formula: Evaluation) -> tuple[Checked, float]:
    """What a reader makes of a format, and the seconds it took to write."""
    form = ANIMATED[name]
    end = "" if form.folder is not None else ENDS.get(name) or form.suffixes[0]
    began = time.perf_counter()
    path, _ = export_animation(clip, folder / f"{name}{end}", name)
    seconds = time.perf_counter() - began
    more = (formula,) if name in FLAME else ()
    return READERS[name](clip, path, *more), seconds


def equal(found: Checked) -> bool:
    values = {"mm": found.mm, "px": found.px, "value": found.value}
    return found.frames > 0 and all(v is None or v <= EQUAL[k] for k, v in values.items())


def long_glb(folder: Path) -> float:
    """Seconds to write 500 frames."""
    model = facemodel.load()
    clip = Performance(long_performance(model, LONG), model)
    began = time.perf_counter()
    export_animation(clip, folder / "long.glb")
    return time.perf_counter() - began


def elsewhere(module: str, function: str) -> dict[str, float | str]:
    """Figures of another benchmark, where it's there and can tell."""
    try:
        return getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError):
        return {}
    except PortraitError as error:
        Console(stderr=True).print(f"{module}: {error}")
        return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("track", type=Path, nargs="?")
    parser.add_argument("--video", type=Path, help="the track's clip; else its pictures are stripes")
    arguments = parser.parse_args()
    model = facemodel.load()
    track = load_track(arguments.track, model) if arguments.track else long_performance(model, FRAMES)
    reader = check_video(arguments.video, track) if arguments.video else Stripes(track)
    clip = Performance(track, model, pictures=ClipPictures(model, track, reader))
    shown = Table("format", "read by", "frames", "mm", "px", "value", "s to write")
    found: dict[str, Checked] = {}
    absent, seconds = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "model").mkdir()
        flame, formula = flame_clip(folder / "model", min(FRAMES, len(track)))
        for name in sorted(ANIMATED):
            try:
                found[name], seconds[name] = arrive(name, flame if name in FLAME else clip, folder, formula)
            except Absent as error:
                absent[name] = str(error)
                shown.add_row(name, f"not here: {error}")
                continue
            f = found[name]
            number = lambda v: "" if v is None else f"{v:.1e}"  # noqa: E731
            shown.add_row(name, f.reader, str(f.frames), *map(number, (f.mm, f.px, f.value)), f"{seconds[name]:.2f}")
        seconds["glb_500"] = long_glb(folder)
    Console(width=150).print(shown)
    worst = lambda key: max((v for f in found.values() if (v := getattr(f, key)) is not None), default=math.nan)  # noqa: E731
    figures = {
        "formats": sum(map(equal, found.values())),
        "worst_mm": float(f"{worst('mm'):.2g}"),
        "worst_px": float(f"{worst('px'):.2g}"),
        "worst_value": float(f"{worst('value'):.2g}"),
        "absent": absent,
        "unequal": [name for name, f in found.items() if not equal(f)],
        "by_format": {n: [f.reader, *(None if v is None else float(f"{v:.2g}") for v in (f.mm, f.px, f.value))]
                      for n, f in found.items()},
        "seconds": {name: round(s, 2) for name, s in seconds.items()},
    }  # fmt: skip
    figures |= elsewhere("benchmarks.page", "page_figures") | elsewhere("benchmarks.stream", "stream_figures")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
