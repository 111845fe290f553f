"""What the quality presets cost and give: frames a second against the errors of the fit.

    python -m benchmarks.quality [VIDEO] [--heads FOLDER] [--picture quality.png]

Without a VIDEO: the clip that is installed. A row a preset; the last line is one JSON object by preset: ``fps``
(everything included, after start-up), ``landmark_nme`` (median, of the interocular distance), ``photometric`` (of 255,
the solver's own), and with ``--heads`` (see `benchmarks.heads`) ``heads``: the distance to other people's heads, nine
views together, over the mean shape's.
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
from benchmarks.heads import CHOSEN_ON, measure, persons, ratio
from benchmarks.real import landmark_error, projected_landmarks
from benchmarks.tracking import Repeated
from portrait.video import VideoReader
from portrait.video.sample import carphone

PANELS = {
    "landmark_nme": "landmarks, of the eyes' distance",
    "photometric": "colours, of 255",
    "heads": "heads, of the mean shape's error",
}


def run(model, video: Path, settings: fitting.Settings) -> dict[str, float]:
    reader = VideoReader(video)
    fitting.fit_video(Repeated(reader, 4), model=model, settings=settings)  # start-up: compiled code, detector graphs
    begun = time.perf_counter()
    track = fitting.fit_video(reader, model=model, settings=settings)
    seconds = time.perf_counter() - begun
    ok = track.tracked
    with torch.inference_mode():
        error = landmark_error(track.landmarks[ok], projected_landmarks(track, model)[ok])
    photometric = float(track.energies["photometric"][ok].median())
    return {"fps": len(track) / seconds, "landmark_nme": float(error.median()), "photometric": photometric}


def draw(results: dict[str, dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {key: label for key, label in PANELS.items() if key in next(iter(results.values()))}
    figure, axes = pyplot.subplots(1, len(panels), figsize=(3.6 * len(panels), 3), sharex=True)
    for axis, (key, label) in zip(axes, panels.items()):
        speeds, errors = zip(*((r["fps"], r[key]) for r in results.values()))
        axis.plot(speeds, errors, "o-")
        for name, x, y in zip(results, speeds, errors):
            axis.annotate(name, (x, y), textcoords="offset points", xytext=(0, 7), ha="center")
        axis.set(xlabel="frames a second", ylabel=label, ylim=(0, 1.2 * max(errors)), xlim=(0, 1.2 * max(speeds)))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def views_ratio(model, folder: Path, settings: fitting.Settings) -> float:
    """Of the people that nothing was chosen on, see `benchmarks.heads`."""
    people = persons(folder)["views"]
    judging = dict(list(people.items())[CHOSEN_ON[1] :])
    return round(ratio(measure(model, judging, settings)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", nargs="?", type=Path, default=carphone())
    parser.add_argument("--heads", type=Path, metavar="FOLDER", help="other people's heads, for an error of geometry")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    model = facemodel.load()
    results = {name: run(model, options.video, settings) for name, settings in fitting.QUALITIES.items()}
    if options.heads:
        for name, settings in fitting.QUALITIES.items():
            results[name]["heads"] = views_ratio(model, options.heads, settings)
    table = Table("quality", *next(iter(results.values())))
    for name, r in results.items():
        table.add_row(name, *(f"{value:.4g}" for value in r.values()))
    Console().print(table)
    if options.picture:
        draw(results, options.picture)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
