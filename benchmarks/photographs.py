"""Photographs fitted one by one: which of them enter the branch of trusted colours, and how well they are fitted.

    python -m benchmarks.photographs PICTURE|VIDEO... [--every 40] [--set trust.least_side=(0,0)]

Of a video each so-manieth frame counts as a photograph. ``--set`` changes a value of `fitting.Settings`, for ablations.
A row a photograph: px of it across the face's square, whether its colours were trusted (`fitting.policy.colour_trust`),
its landmarks' error in % of the face's size, and the correlation of its brightness with the drawn face's. The last line
is one JSON object: how many, which were trusted, and the medians.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import facemodel
import fitting
from benchmarks.changes import add_option, settings_of
from fitting.landmarks.base import SQUARE, Face
from foundation.errors import PortraitError
from portrait.video import VideoReader
from portrait.video.images import IMAGE_SUFFIXES, read_image


def photographs(path: Path, every: int) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (H, W, 3) uint8 sRGB of a picture, or of each ``every``-th frame of a video."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        yield path.name, read_image(path)
    else:
        yield from ((f"{path.name} {k}", frame) for k, _, frame in VideoReader(path) if k % every == 0)


def measure(name: str, picture: np.ndarray, model, detector, settings: fitting.Settings) -> dict | None:
    """A photograph's row; None where no face is found."""
    try:
        track = fitting.fit_image(picture, model=model, detector=detector, settings=settings)
    except PortraitError:
        return None
    face = Face(track.landmarks[0].double().numpy(), track.landmark_scheme, 1.0)
    return {
        "name": name,
        "side": SQUARE * face.size,
        "trusted": track.facts["colours_trusted"],
        "landmarks_percent": 100 * float(track.energies["landmarks"][0]),
        "correlation": float(track.energies["correlation"][0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PICTURE|VIDEO")
    parser.add_argument("--every", type=int, default=40, help="of a video, frames from one photograph to the next")
    add_option(parser)
    options = parser.parse_args()
    model, detector, settings = facemodel.load(), fitting.make_detector(), settings_of(parser, options)
    found = (measure(*p, model, detector, settings) for path in options.paths for p in photographs(path, options.every))
    rows = [row for row in found if row is not None]
    table = Table("photograph", "px", "trusted", "landmarks, %", "correlation")
    for r in rows:
        trusted = "yes" if r["trusted"] else ""
        table.add_row(
            r["name"], f"{r['side']:.0f}", trusted, f"{r['landmarks_percent']:.2f}", f"{r['correlation']:.3f}"
        )
    Console(width=100).print(table)
    median = lambda name: float(np.median([r[name] for r in rows])) if rows else None  # noqa: E731
    line = {"photographs": len(rows), "trusted": [r["name"] for r in rows if r["trusted"]]}
    print(json.dumps(line | {name: median(name) for name in ("landmarks_percent", "correlation")}))


if __name__ == "__main__":
    main()
