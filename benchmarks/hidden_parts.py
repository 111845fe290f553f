"""Which parts of faces are called hidden, bare ones and the same with things drawn before them.

    python -m benchmarks.hidden_parts PICTURE|VIDEO|FOLDER... [--every 40]

Of a video each so-manieth frame is a picture. The last line is one JSON object: for each thing that is drawn
(`benchmarks.occluders`), of how many of the faces each part counts as hidden (`fitting.occlusion.regions`). Faces in
which nothing is told, too small or too dark (`can_tell`), are left out and counted.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import facemodel
import fitting
from benchmarks.occluders import hand, mask, sunglasses
from benchmarks.photographs import photographs
from fitting.energy.landmark_points import landmark_points
from fitting.observation.crop import observe
from fitting.occlusion.regions import EYES, can_tell, face_regions, without_hidden
from portrait.video.images import is_image

MASKS = ((120, 160, 210), (235, 236, 238), (30, 30, 34), (60, 110, 70), (190, 120, 140))
GLASSES = ((15, 15, 18), (52, 38, 30), (30, 38, 60))
THINGS = {
    "nothing": [lambda picture, points: picture],
    "mask": [lambda picture, points, colour=c: mask(picture, points, colour) for c in MASKS],
    "hand": [hand],
    "sunglasses": [lambda picture, points, colour=c: sunglasses(picture, points, colour) for c in GLASSES],
}


def measure(pictures, detector, regions, settings: fitting.Settings) -> dict[str, dict[str, int]]:
    """By thing: how many faces, and of how many the mouth, the nose, both eyes, are hidden."""
    counts = {thing: Counter(faces=0, mouth=0, nose=0, both_eyes=0) for thing in THINGS}
    small = 0
    for _, picture in pictures:
        face = next(iter(detector.detect(picture)), None)
        if face is None:
            continue
        if not can_tell(observe(picture, face, settings.levels), settings.hidden_parts):
            small += 1
            continue
        for thing, ways in THINGS.items():
            for draw in ways:
                seen = observe(draw(picture, face.points), face, settings.levels)
                _, visibility = without_hidden(seen, regions, settings.hidden_parts)
                hidden = {part for part, value in visibility.items() if value < settings.hidden_parts.limit}
                counts[thing].update(["faces", *(hidden & {"mouth", "nose"})])
                counts[thing]["both_eyes"] += hidden.issuperset(EYES)
    return {"left_out": small} | {thing: dict(found) for thing, found in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PICTURE|VIDEO|FOLDER")
    parser.add_argument("--every", type=int, default=40, help="of a video, frames from one picture to the next")
    o = parser.parse_args()
    files = [f for p in o.paths for f in (sorted(filter(is_image, p.rglob("*"))) if p.is_dir() else [p])]
    model, detector, settings = facemodel.load(), fitting.make_detector(), fitting.Settings()
    regions = face_regions(model, landmark_points(model, detector.scheme), settings.hidden_parts)
    pictures = (found for file in files for found in photographs(file, o.every))
    print(json.dumps(measure(pictures, detector, regions, settings)))
    detector.close()


if __name__ == "__main__":
    main()
