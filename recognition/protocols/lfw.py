"""LFW: ten folds of matched and mismatched pairs of faces in the wild."""

from __future__ import annotations

from pathlib import Path

from foundation.errors import PortraitError
from recognition.protocols.base import PROTOCOLS, Pairs, Protocol, lines_of, make_pairs

LFW_FROM = "LFW's pictures (lfw.tgz) and pairs.txt come from http://vis-www.cs.umass.edu/lfw/"


def read_lfw(folder: Path, pairs: Path) -> Pairs:
    """LFW's View 2: ``Name/Name_0001.jpg`` (or .png) under ``folder``; pairs.txt.

    Its first line is "folds<TAB>pairs of a kind"; then, fold by fold, so many lines "Name 1 4" and so many
    "Name 1 Other 2", with tabs between.
    """
    where = f"'{pairs}'"
    lines = lines_of(pairs, LFW_FROM)
    try:
        folds, count = (int(v) for v in lines[0].split())
    except (ValueError, IndexError):
        raise PortraitError(f"{where} line 1: expected two numbers, folds and pairs; {LFW_FROM}") from None
    if len(lines) - 1 != 2 * folds * count:
        raise PortraitError(
            f"{where}: expected {2 * folds * count} lines after the first (2 x {folds} x {count}), "
            f"found {len(lines) - 1}; {LFW_FROM}"
        )
    rows = []
    for k, line in enumerate(lines[1:]):
        same, words = (k // count) % 2 == 0, line.split("\t")
        if len(words) != (3 if same else 4):
            wanted = "Name 1 4" if same else "Name 1 Other 2"
            raise PortraitError(f"{where} line {k + 2}: expected '{wanted}' with tabs between, got '{line}'")
        one, two = (words[0], words[1]), (words[0] if same else words[2], words[-1])
        try:
            paths = [folder / name / f"{name}_{int(number):04d}.jpg" for name, number in (one, two)]
        except ValueError:
            raise PortraitError(f"{where} line {k + 2}: expected picture numbers, got '{line}'") from None
        rows.append((*paths, same, k // (2 * count)))
    return make_pairs(rows, where, LFW_FROM, lambda file: file.parent.name)


PROTOCOLS.add("lfw", Protocol(lambda e, base: read_lfw(base / e.folder, base / e.pairs), ("pairs",)))
