"""Pairs of pictures in a CSV: AgeDB-30 and others."""

from __future__ import annotations

import csv
from pathlib import Path

from foundation.errors import PortraitError
from recognition.protocols.base import PROTOCOLS, Pairs, Protocol, lines_of, make_pairs


def read_pairs_csv(folder: Path, pairs: Path) -> Pairs:
    """A CSV with the columns file_a, file_b (under ``folder``), same (0 or 1) and fold: AgeDB-30 and others."""
    source = "it has the columns file_a, file_b, same (0 or 1), fold; see docs/recognition.md"
    where, rows = f"'{pairs}'", []
    reader = csv.DictReader(lines_of(pairs, source))
    if not {"file_a", "file_b", "same", "fold"} <= set(reader.fieldnames or []):
        raise PortraitError(f"{where}: has the columns {', '.join(reader.fieldnames or ['none'])}; {source}")
    for row in reader:
        try:
            same = {"0": False, "1": True}[row["same"]]
            rows.append((folder / row["file_a"], folder / row["file_b"], same, int(row["fold"])))
        except (KeyError, ValueError, TypeError):
            raise PortraitError(f"{where} line {reader.line_num}: can't be used ({dict(row)}); {source}") from None
    return make_pairs(rows, where, source, lambda file: _top_folder(file, folder))


def _top_folder(file: Path, root: Path) -> str:
    """The folder in ``root`` that a file lies in; "" for none."""
    inside = file.parts[len(root.parts) :] if file.is_relative_to(root) else ()
    return inside[0] if len(inside) > 1 else ""


PROTOCOLS.add("pairs", Protocol(lambda e, base: read_pairs_csv(base / e.folder, base / e.pairs), ("pairs",)))
