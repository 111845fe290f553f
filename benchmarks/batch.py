"""What a picture costs where many are fitted: seconds of one core, landmarks and reading included.

    python -m benchmarks.batch [FOLDER] [--pictures 100] [--quality balanced]

FOLDER holds photographs with a face each, which are taken in turn until there are enough; without one, drawn people of
250 px are. Each is fitted alone (`fitting.fit_image`), with one detector, in one thread. The first, which loads and
compiles, counts apart. The last line is one JSON object: ``seconds`` of processor time a picture, and of the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path

import numpy as np
import torch

import facemodel
import fitting
from foundation.errors import PortraitError
from portrait.video.images import read_image
from synthetic import make_scene

DRAWN, SIZE = 10, 250  # people, px


def pictures(folder: Path | None, model) -> list[np.ndarray]:
    if folder is None:
        return [make_scene(model, seed, 1, SIZE).pictures[0] for seed in range(DRAWN)]
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        raise PortraitError(f"'{folder}': expected pictures, found none")
    return [read_image(f) for f in files]


def measure(model, shown: list[np.ndarray], count: int, settings: fitting.Settings) -> dict[str, float]:
    """Seconds a picture, but for the first; pictures without a face take part."""
    found = 0
    with contextlib.closing(fitting.make_detector()) as detector:
        for k in range(count + 1):
            if k == 1:
                clock, processor, found = time.perf_counter(), time.process_time(), 0
            with contextlib.suppress(PortraitError):
                fitting.fit_image(shown[k % len(shown)], model=model, detector=detector, settings=settings)
                found += 1
    return {
        "seconds": round((time.process_time() - processor) / count, 3),
        "clock_seconds": round((time.perf_counter() - clock) / count, 3),
        "pictures": count,
        "with_a_face": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--quality", choices=fitting.QUALITIES, default="balanced")
    options = parser.parse_args()
    if options.pictures < 1:
        parser.error(f"--pictures: expected 1 or more, got {options.pictures}")
    model = facemodel.load()
    torch.set_num_threads(1)
    try:
        shown = pictures(options.folder, model)
    except (PortraitError, OSError) as error:
        parser.error(str(error))
    print(json.dumps(measure(model, shown, options.pictures, fitting.QUALITIES[options.quality])))


if __name__ == "__main__":
    main()
