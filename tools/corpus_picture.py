"""The picture of docs/corpus.md: some people who don't exist, all doing the same.

    python -m tools.corpus_picture

A row a performance, a column a person; ``docs/images/corpus.jpg``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import facemodel
from foundation.atomic import write_file
from synthetic import SkinAtlas
from synthetic.takes import make_look, make_performance, take

PATH = Path(__file__).parents[1] / "docs" / "images" / "corpus.jpg"
SEED, PEOPLE, PERFORMANCES, SIZE = 20, 9, 3, 128


def main() -> None:
    model = facemodel.load()
    atlas = SkinAtlas.of(model, 256)
    looks = [make_look(model, atlas, SEED, number) for number in range(PEOPLE)]
    rows = []
    for number in range(PERFORMANCES):
        performance = make_performance(model, SEED, number, frames=1, fps=8.0)
        rows.append(np.concatenate([take(model, look, performance, SIZE)[1][0] for look in looks], 1))
    encoded = cv2.imencode(".jpg", np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    write_file(PATH, encoded.tobytes(), "picture")


if __name__ == "__main__":
    main()
