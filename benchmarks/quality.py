"""What the quality presets cost and give: frames a second against the errors of the fit.

    python -m benchmarks.quality [VIDEO] [--picture quality.png]        (without a VIDEO: the clip that is installed)

A row a preset; the last line is one JSON object by preset: ``fps`` (everything included, after start-up),
``landmark_nme`` (of the interocular distance), ``photometric`` (of 255, the solver's own).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import facemodel
import fitting
from portrait.sample import carphone
from portrait.video import VideoReader

from .real import measure, projected_landmarks
from .tracking import Repeated


def run(model, video: Path, settings: fitting.Settings) -> dict[str, float]:
    reader = VideoReader(video)
    fitting.fit_video(Repeated(reader, 4), model=model, settings=settings)  # start-up: compiled code, detector graphs
    begun = time.perf_counter()
    track = fitting.fit_video(reader, model=model, settings=settings)
    seconds = time.perf_counter() - begun
    with torch.inference_mode():
        nme = measure(track, model, reader, projected_landmarks(track, model))["landmark_nme"]
    photometric = float(track.energies["photometric"][track.tracked].median())
    return {"fps": len(track) / seconds, "landmark_nme": nme, "photometric": photometric}


def draw(results: dict[str, dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), sharex=True)
    for axis, key, label, factor in (
        (axes[0], "landmark_nme", "landmark error, % of the interocular distance", 100),
        (axes[1], "photometric", "photometric error, of 255", 1),
    ):
        speeds, errors = zip(*((r["fps"], factor * r[key]) for r in results.values()))
        axis.plot(speeds, errors, "o-")
        for name, x, y in zip(results, speeds, errors):
            axis.annotate(name, (x, y), textcoords="offset points", xytext=(6, 4))
        axis.set(xlabel="frames a second", ylabel=label, ylim=(0, None), xlim=(0, 1.25 * max(speeds)))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", nargs="?", type=Path, default=carphone())
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    model = facemodel.load()
    results = {name: run(model, options.video, settings) for name, settings in fitting.QUALITIES.items()}
    table = Table("quality", "frames a second", "landmark error, %", "photometric error")
    for name, r in results.items():
        table.add_row(name, f"{r['fps']:.1f}", f"{100 * r['landmark_nme']:.2f}", f"{r['photometric']:.2f}")
    Console().print(table)
    if options.picture:
        draw(results, options.picture)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
