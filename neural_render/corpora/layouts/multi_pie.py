"""CMU Multi-PIE (Gross et al., "Multi-PIE", 2010), by the names of its pictures:

``001_02_03_051_07.png`` is person 001 in session 02, recording 03 (which is an expression), camera 05_1, flash 07.
They lie in ``session02/multiview/001/03/05_1``; where doesn't matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from foundation.errors import PortraitError
from neural_render.corpora.reading import CORPORA, IMAGES, Layout, Tools, files_of, has_one
from neural_render.methods.clip import Clip

NAME = re.compile(r"(\d{3})_(\d{2})_(\d{2})_(\d{3})_(\d{2})", re.ASCII)
EXPRESSIONS = {
    ("01", "01"): "neutral", ("01", "02"): "smile",
    ("02", "01"): "neutral", ("02", "02"): "surprise", ("02", "03"): "squint",
    ("03", "01"): "neutral", ("03", "02"): "smile", ("03", "03"): "disgust",
    ("04", "01"): "neutral", ("04", "02"): "scream", ("04", "03"): "neutral",
}  # fmt: skip
"""By session and recording."""


def knows(path: Path) -> bool:
    return has_one(path, IMAGES, NAME)


def read(path: Path, tools: Tools, split: str) -> Iterator[Clip]:
    for file in files_of(path, IMAGES):
        found = NAME.fullmatch(file.stem)
        if found is None or found.groups()[1:3] not in EXPRESSIONS:
            raise PortraitError(
                f"corpus '{path}': expected Multi-PIE's names, such as 001_01_02_051_07.png, found '{file.name}'; "
                "move it"
            )
        person, session, recording, camera, flash = found.groups()
        # Everybody is asked for the same once a session: of the same session, view and light it is one performance.
        done = f"{session} {EXPRESSIONS[session, recording]} {recording} {camera} {flash}"
        yield tools.clip(file, path, f"PIE{person}", done)


CORPORA.add("multi-pie", Layout("Multi-PIE, by its names: 001_01_02_051_07.png", knows, read))
