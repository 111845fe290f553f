"""IJB-A, -B and -C, 1:1: sets of pictures (templates) against each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foundation.errors import PortraitError
from recognition.folder import listed
from recognition.pictures import find_picture
from recognition.protocols.base import PROTOCOLS, Protocol, Templates, lines_of, missing_pictures


def read_ijb(folder: Path, templates: Path, pairs: Path) -> Templates:
    """IJB-A, -B, -C as commonly prepared; ``folder`` has the cropped faces.

    A line of ``templates`` is "1.jpg 1 69544" (picture, template, medium), one of ``pairs`` "1 11065 1" (two templates,
    whether they are the same person).
    """
    source = "IJB comes from NIST's Face Challenges page; see docs/recognition.md for the two lists"
    names, ids = [], []
    for number, line in enumerate(lines_of(templates, source), 1):
        words = line.split()
        if len(words) != 3 or not all(w.lstrip("-").isdigit() for w in words[1:]):
            raise PortraitError(f"'{templates}' line {number}: expected 'picture template medium', got '{line}'")
        names.append(find_picture(folder / words[0]))
        ids.append((int(words[1]), int(words[2])))
    table = []
    for number, line in enumerate(lines_of(pairs, source), 1):
        words = line.split()
        if len(words) != 3 or not all(w.isdigit() for w in words) or words[2] not in "01":
            raise PortraitError(f"'{pairs}' line {number}: expected 'template template 0|1', got '{line}'")
        table.append([int(w) for w in words])
    if not names or not table:
        raise PortraitError(f"'{pairs if names else templates}': is empty; {source}")
    missing = [str(f) for f in names if not f.is_file()]
    if missing:
        raise missing_pictures(f"'{templates}'", missing, len(names), source)
    ids, table = np.array(ids), np.array(table)
    unknown = np.setdiff1d(table[:, :2], ids[:, 0])
    if len(unknown):
        raise PortraitError(f"'{pairs}': {listed([str(u) for u in unknown], 'template')} not in '{templates}'")
    return Templates(tuple(names), ids[:, 0], ids[:, 1], table[:, 0], table[:, 1], table[:, 2].astype(bool))


def _read(e, base: Path) -> Templates:
    return read_ijb(base / e.folder, base / e.templates, base / e.pairs)


PROTOCOLS.add("ijb", Protocol(_read, ("pairs", "templates")))
