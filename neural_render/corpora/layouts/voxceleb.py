"""VoxCeleb 1 and 2 (Nagrani et al., Interspeech 2017; Chung et al., 2018): ``mp4/id00012/VIDEO/00001.mp4``.

Beside it ``txt/id00012/VIDEO/00001.txt``, where it is there: lines ``Identity : id00012`` and ``Reference : VIDEO``,
then a box a frame. A person's clips of one video share light and clothes, which sources tell: ``reference``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from foundation.errors import PortraitError
from neural_render.corpora.reading import CORPORA, VIDEOS, Layout, Tools, files_of
from neural_render.methods.clip import Clip

PERSON = re.compile(r"id\d{5}")
LINE = re.compile(r"^\s*(Identity|Reference)\s*:\s*(\S+)", re.MULTILINE)


def knows(path: Path) -> bool:
    videos = path / "mp4"
    return videos.is_dir() and any(PERSON.fullmatch(p.name) for p in videos.iterdir())


def read(path: Path, tools: Tools, split: str) -> Iterator[Clip]:
    for file in files_of(path / "mp4", VIDEOS):
        inside = file.relative_to(path / "mp4")
        if len(inside.parts) != 3 or not PERSON.fullmatch(inside.parts[0]):
            raise PortraitError(f"corpus '{path}': expected mp4/idNNNNN/VIDEO/NAME.mp4, found 'mp4/{inside}'; move it")
        person, reference, _ = inside.parts
        text = path / "txt" / inside.with_suffix(".txt")
        if text.is_file():
            told = dict(LINE.findall(text.read_text(encoding="utf-8", errors="replace")))
            if told.get("Identity", person) != person:
                raise PortraitError(f"'{text}': is of '{told['Identity']}', its clip of '{person}'; get a whole copy")
            reference = told.get("Reference", reference)
        yield tools.clip(file, path, person, reference=reference)


CORPORA.add("voxceleb", Layout("VoxCeleb 1 and 2: mp4/idNNNNN/VIDEO/NAME.mp4, with txt beside mp4", knows, read))
