"""What ``portrait synthesize-dataset --clips`` writes: all that is known of a clip is the truth, in its track."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from facemodel.base import FaceModel
from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render.corpora.reading import CORPORA, SPLITS, Later, Layout, Tools, read_json
from neural_render.methods.clip import Clip

COLUMNS = ("file", "person", "performance", "split", "frames", "fps")
AGAIN = "run 'portrait synthesize-dataset' for it once more"


def knows(path: Path) -> bool:
    return (path / "dataset.json").is_file() and "clips" in read_json(path / "dataset.json", "data set")


def read(path: Path, tools: Tools, split: str) -> Iterator[Clip]:
    if split not in SPLITS:
        raise PortraitError(f"corpus '{path}': expected the split train or test, got '{split}'")
    settings = read_json(path / "dataset.json", "data set")
    digest = hashlib.sha256((path / "dataset.json").read_bytes()).hexdigest()[:16]
    try:
        with open(path / "metadata.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise PortraitError(f"corpus '{path}': metadata.csv can't be read ({error}); {AGAIN}") from None
    for number, row in enumerate(rows, 2):
        if any(not row.get(name) for name in COLUMNS) or not (path / row["file"]).exists():
            raise PortraitError(f"corpus '{path}', metadata.csv, row {number}: its clip isn't there; {AGAIN}")
        if row["split"] != split:
            continue
        file, size = path / row["file"], int(settings["size"])
        yield Clip(
            Later(tools.open, file, int(row["frames"])), size, size, float(row["fps"]),
            f"{path.name}/{row['person']}", {"corpus": path.name, "file": row["file"], "digest": digest}, tools.model,
            partial(load_truth, file.with_suffix(".track"), tools.model),
            performance=f"{path.name}/{row['performance']}",
        )  # fmt: skip


def load_truth(path: Path, model: FaceModel | None, clip: Clip) -> Track:
    """PortraitError where it's of another face model."""
    return Track.load(path, model)


CORPORA.add("synthetic", Layout("People who don't exist: portrait synthesize-dataset --clips", knows, read))
