"""Any folder of clips: a video's person is the folder it lies in, or its own name at the top.

Pictures of folders without videos are photographs, a clip of one frame each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from neural_render.corpora.reading import CORPORA, IMAGES, VIDEOS, Layout, Tools, files_of, has_one
from neural_render.methods.clip import Clip


def knows(path: Path) -> bool:
    return has_one(path, VIDEOS) or has_one(path, IMAGES)


def read(path: Path, tools: Tools, split: str) -> Iterator[Clip]:
    videos = files_of(path, VIDEOS)
    for file in videos or files_of(path, IMAGES):
        inside = file.relative_to(path).parts
        yield tools.clip(file, path, inside[0] if len(inside) > 1 else file.stem)


CORPORA.add("folder", Layout("A folder a person, with clips or photographs; or clips of one person each", knows, read))
