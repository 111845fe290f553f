"""How well real clips are fitted, against the detector's own landmarks: no other truth is there.

    python -m benchmarks.real VIDEO...        (without a VIDEO: the clip that is installed, carphone)

A row a clip: landmark error, all points alike, as a share of the interocular distance; photometric error; how lid and
mouth openings of the fitted face go with the landmarks'; and jitter, the median second difference from frame to frame,
of the head's rotation and of the nose tip beside the detected nose tip's. The last line is one JSON object by clip.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import facemodel
import fitting
from facemodel import Track
from fitting.energy import eye_openness
from fitting.samples import landmark_samples
from portrait.sample import carphone
from portrait.video import VideoReader
from renderer import Camera, project, to_camera

SCHEME = "mediapipe478"
EYES = ((263, 362), (33, 133))  # corners of the left and right eye
NOSE_TIP = 1


def projected_landmarks(track: Track, model) -> Tensor:
    """(F, L, 2) px: the fitted face's landmarks in the original frames."""
    p = track.parameters.expanded()
    camera = Camera(float(track.parameters.focal), track.width, track.height)
    points = [
        project(
            to_camera(
                model.landmarks(model.vertices(p.identity[k], p.expression[k], p.gaze[k]), SCHEME),
                p.rotation[k],
                p.translation[k],
            ),
            camera,
        )
        for k in range(len(track))
    ]
    return torch.stack(points)


def jitter(values: Tensor) -> float:
    """Median length of the second difference of (F, K) values."""
    return float((values[2:] - 2 * values[1:-1] + values[:-2]).norm(dim=-1).median())


def correlation(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.numpy(), b.numpy())[0, 1])


def measure(track: Track, model) -> dict[str, float]:
    ok = track.tracked
    seen, fitted = track.landmarks[ok], projected_landmarks(track, model)[ok]
    middle = [seen[:, list(c)].mean(1) for c in EYES]
    apart = (middle[0] - middle[1]).norm(dim=-1)
    error = (fitted - seen).norm(dim=-1).mean(1) / apart
    marks = landmark_samples(model, SCHEME)
    lips = marks.pairs[marks.eye_pairs :]
    mouth = [(x[:, lips[:, 0]] - x[:, lips[:, 1]]).norm(dim=-1).mean(1) / apart for x in (seen, fitted)]
    lids = [eye_openness(x, marks).mean(1) for x in (seen, fitted)]
    return {
        "frames": len(track),
        "tracked": int(ok.sum()),
        "landmark_nme": float(error.median()),
        "landmark_nme_90": float(error.quantile(0.9)),
        "photometric": float(track.energies["photometric"][ok].median()),
        "lids_correlation": correlation(*lids),
        "mouth_correlation": correlation(*mouth),
        "rotation_jitter_deg": jitter(track.parameters.rotation[ok].rad2deg()),
        "nose_jitter_px": jitter(fitted[:, NOSE_TIP]),
        "detected_nose_jitter_px": jitter(seen[:, NOSE_TIP]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", nargs="*", type=Path)
    model = facemodel.load()
    clips = parser.parse_args().video or [carphone()]
    results = {}
    with torch.inference_mode():
        for path in clips:
            results[path.stem] = measure(fitting.fit_video(VideoReader(path), model=model), model)
    table = Table("", *results)
    for name in next(iter(results.values())):
        table.add_row(name, *(f"{r[name]:.4g}" for r in results.values()))
    Console().print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
