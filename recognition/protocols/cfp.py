"""CFP: frontal faces against frontal ones, and against profiles."""

from __future__ import annotations

from pathlib import Path

from foundation.errors import PortraitError
from recognition.protocols.base import PROTOCOLS, Pairs, Protocol, lines_of, make_pairs

CFP_FROM = "CFP (cfp-dataset.zip) comes from http://www.cfpw.io/"


def read_cfp(folder: Path, kind: str) -> Pairs:
    """CFP's own layout under ``folder``. kind: "FF" frontal-frontal, "FP" frontal-profile.

    ``Protocol/Pair_list_F.txt`` and ``_P.txt`` number the pictures ("1 ../Data/Images/001/frontal/01.jpg");
    ``Protocol/Split/FP/01/same.txt`` and ``diff.txt`` have a pair of numbers a line ("12,48"), the second number from
    the list of profiles.
    """
    protocol = folder / "Protocol"
    lists = [_cfp_list(protocol / f"Pair_list_{letter}.txt") for letter in kind]
    split = protocol / "Split" / kind
    folds = sorted(p for p in split.iterdir() if p.is_dir()) if split.is_dir() else []
    if not folds:
        raise PortraitError(f"'{split}': no folds there; expected folders 01 to 10; {CFP_FROM}")
    rows = []
    for fold, place in enumerate(folds):
        for name, same in (("same.txt", True), ("diff.txt", False)):
            for number, line in enumerate(lines_of(place / name, CFP_FROM), 1):
                try:
                    one, two = (pictures[int(v)] for pictures, v in zip(lists, line.split(","), strict=True))
                except (ValueError, KeyError):
                    raise PortraitError(
                        f"'{place / name}' line {number}: expected two numbers of the lists with a comma between, "
                        f"got '{line}'"
                    ) from None
                rows.append((one, two, same, fold))
    return make_pairs(rows, f"'{split}'", CFP_FROM, lambda file: file.parent.parent.name)


def _cfp_list(path: Path) -> dict[int, Path]:
    pictures = {}
    for number, line in enumerate(lines_of(path, CFP_FROM), 1):
        index, _, name = line.partition(" ")
        if not index.isdigit() or not name.strip():
            raise PortraitError(f"'{path}' line {number}: expected a number and a path, got '{line}'")
        # the paths start from Protocol/, as ../Data/...; ".." is taken out as text
        parts = [p for p in name.strip().replace("\\", "/").split("/") if p not in ("", ".", "..")]
        pictures[int(index)] = path.parent.parent.joinpath(*parts)
    return pictures


PROTOCOLS.add("cfp-ff", Protocol(lambda e, base: read_cfp(base / e.folder, "FF")))
PROTOCOLS.add("cfp-fp", Protocol(lambda e, base: read_cfp(base / e.folder, "FP")))
