"""The Radboud Faces Database (Langner et al., 2010), by the names of its photographs:

``Rafd090_01_Caucasian_female_angry_frontal.jpg`` is camera 090 (000 to 180 from profile to profile, 090 the front),
person 01, group, gender, expression, gaze. Everybody does everything, so these are performances.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from foundation.errors import PortraitError
from neural_render.corpora.reading import CORPORA, IMAGES, Layout, Tools, files_of, has_one
from neural_render.methods.clip import Clip

NAME = re.compile(r"Rafd(\d{3})_(\d{2})_([A-Za-z-]+)_(\w+)_(\w+)_(frontal|left|right)", re.ASCII)
EXPRESSIONS = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


def knows(path: Path) -> bool:
    return has_one(path, IMAGES, NAME)


def read(path: Path, tools: Tools, split: str) -> Iterator[Clip]:
    for file in files_of(path, IMAGES):
        found = NAME.fullmatch(file.stem)
        if found is None or found[5] not in EXPRESSIONS:
            raise PortraitError(
                f"corpus '{path}': expected RaFD's names, such as Rafd090_01_Caucasian_female_angry_frontal.jpg, found "
                f"'{file.name}'; move it"
            )
        camera, person, _, _, expression, gaze = found.groups()
        yield tools.clip(file, path, f"Rafd{person}", f"{expression} {gaze} {camera}")


CORPORA.add("rafd", Layout("RaFD, by its names: Rafd090_01_Caucasian_female_angry_frontal.jpg", knows, read))
