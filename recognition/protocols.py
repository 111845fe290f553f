"""What is compared with what, by protocol: LFW, CFP, a CSV (AgeDB and others), IJB's templates, poses of a data set.

Each reader checks the whole list before anything is embedded, and names what is missing. The ``.bin`` packs that
circulate for LFW, CFP and AgeDB are Python pickles, which this project doesn't open.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.errors import PortraitError
from foundation.registry import Registry
from recognition.folder import LISTED, FaceFolder, listed, read_folder
from recognition.pictures import find_picture, is_picture

LFW_FROM = "LFW's pictures (lfw.tgz) and pairs.txt come from http://vis-www.cs.umass.edu/lfw/"
CFP_FROM = "CFP (cfp-dataset.zip) comes from http://www.cfpw.io/"


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, folds and the truth."""

    files: tuple[Path, ...]  # each picture once
    first: np.ndarray  # (P,) int64, rows of ``files``
    second: np.ndarray  # (P,)
    same: np.ndarray  # (P,) bool
    folds: np.ndarray  # (P,) int64, from 0
    people: tuple[str, ...] | None = None  # of each file, where the list says who is on it


def make_pairs(
    rows: list[tuple[Path, Path, bool, int]], where: str, source: str, person: Callable[[Path], str]
) -> Pairs:
    """Pairs from (file, file, same, fold); PortraitError that lists the files that aren't there.

    A file that isn't there may have another ending (`find_picture`). person: of a listed file, who is on it;
    taken where it agrees with what the list says of its pairs.
    """
    if not rows:
        raise PortraitError(f"{where}: has no pairs; {source}")
    files = {f: find_picture(f) for f in dict.fromkeys(f for row in rows for f in row[:2])}
    missing = [str(f) for f, found in files.items() if not is_picture(found)]
    if missing:
        raise missing_pictures(where, missing, len(files), source)
    number = {f: k for k, f in enumerate(files)}
    columns = list(zip(*rows))
    first, second = (np.array([number[f] for f in column]) for column in columns[:2])
    same, folds = np.array(columns[2], bool), np.array(columns[3], np.int64)
    if same.all() or not same.any():
        raise PortraitError(f"{where}: has pairs of one kind only; expected some of one person and some of two")
    names = np.array([person(f) for f in files])
    agrees = bool((names != "").all() and ((names[first] == names[second]) == same).all())
    return Pairs(tuple(files.values()), first, second, same, folds, tuple(names.tolist()) if agrees else None)


def missing_pictures(where: str, missing: list[str], total: int, source: str) -> PortraitError:
    """The error for a list whose pictures aren't there: all of them by name, unless it is every one of a long list."""
    if len(missing) == total > LISTED:
        return PortraitError(f"{where}: none of its {total} pictures is there (the first: {missing[0]}); {source}")
    return PortraitError(f"{where}: {listed(missing, 'picture', len(missing))} missing of {total}; {source}")


def read_lfw(folder: Path, pairs: Path) -> Pairs:
    """LFW's View 2: ``Name/Name_0001.jpg`` (or .png) under ``folder``; pairs.txt.

    Its first line is "folds<TAB>pairs of a kind"; then, fold by fold, so many lines "Name 1 4" and so many
    "Name 1 Other 2", with tabs between.
    """
    where = f"'{pairs}'"
    lines = _lines(pairs, LFW_FROM)
    numbers = lines[0].split() if lines else []
    if len(numbers) != 2 or not all(map(is_number, numbers)):
        raise PortraitError(f"{where} line 1: expected two numbers, folds and pairs; {LFW_FROM}")
    folds, count = map(int, numbers)
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
            raise PortraitError(f"{where} line {k + 2}: expected '{wanted}' with tabs between, got {shown(line)}")
        one, two = (words[0], words[1]), (words[0] if same else words[2], words[-1])
        if not (is_number(one[1]) and is_number(two[1])):
            raise PortraitError(f"{where} line {k + 2}: expected picture numbers, got {shown(line)}")
        paths = [folder / name / f"{name}_{int(number):04d}.jpg" for name, number in (one, two)]
        rows.append((*paths, same, k // (2 * count)))
    return make_pairs(rows, where, LFW_FROM, lambda file: file.parent.name)


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
            for number, line in enumerate(_lines(place / name, CFP_FROM), 1):
                try:
                    one, two = (pictures[int(v)] for pictures, v in zip(lists, line.split(","), strict=True))
                except (ValueError, KeyError):
                    raise PortraitError(
                        f"'{place / name}' line {number}: expected two numbers of the lists with a comma between, "
                        f"got {shown(line)}"
                    ) from None
                rows.append((one, two, same, fold))
    return make_pairs(rows, f"'{split}'", CFP_FROM, lambda file: file.parent.parent.name)


def _cfp_list(path: Path) -> dict[int, Path]:
    pictures = {}
    for number, line in enumerate(_lines(path, CFP_FROM), 1):
        index, _, name = line.partition(" ")
        if not is_number(index) or not name.strip():
            raise PortraitError(f"'{path}' line {number}: expected a number and a path, got {shown(line)}")
        # the paths start from Protocol/, as ../Data/...; ".." is taken out as text
        parts = [p for p in name.strip().replace("\\", "/").split("/") if p not in ("", ".", "..")]
        pictures[int(index)] = path.parent.parent.joinpath(*parts)
    return pictures


def read_pairs_csv(folder: Path, pairs: Path) -> Pairs:
    """A CSV with the columns file_a, file_b (under ``folder``), same (0 or 1) and fold: AgeDB-30 and others."""
    source = "it has the columns file_a, file_b, same (0 or 1), fold; see docs/recognition.md"
    where, rows = f"'{pairs}'", []
    reader = csv.DictReader(_lines(pairs, source))
    try:
        if not {"file_a", "file_b", "same", "fold"} <= set(reader.fieldnames or []):
            raise PortraitError(f"{where}: has the columns {shown(', '.join(reader.fieldnames or ['none']))}; {source}")
        for row in reader:
            same, fold = {"0": False, "1": True}.get(row["same"]), (row["fold"] or "").strip()
            if same is None or not is_number(fold) or None in (row["file_a"], row["file_b"]):
                line = shown(",".join(map(str, row.values())))
                raise PortraitError(f"{where} line {reader.line_num}: can't be used ({line}); {source}")
            rows.append((folder / row["file_a"], folder / row["file_b"], same, int(fold)))
    except csv.Error as error:
        raise PortraitError(f"{where} line {reader.line_num}: no CSV ({error}); {source}") from None
    return make_pairs(rows, where, source, lambda file: _top_folder(file, folder))


def _top_folder(file: Path, root: Path) -> str:
    """The folder in ``root`` that a file lies in; "" for none."""
    inside = file.parts[len(root.parts) :] if file.is_relative_to(root) else ()
    return inside[0] if len(inside) > 1 else ""


@dataclass(frozen=True)
class Templates:
    """IJB's 1:1 protocol: which pictures are a template, and which templates are compared."""

    files: tuple[Path, ...]  # (N)
    templates: np.ndarray  # (N,) template ids
    media: np.ndarray  # (N,) media ids
    first: np.ndarray  # (P,) template ids
    second: np.ndarray  # (P,)
    same: np.ndarray  # (P,) bool


def read_ijb(folder: Path, templates: Path, pairs: Path) -> Templates:
    """IJB-A, -B, -C as commonly prepared; ``folder`` has the cropped faces.

    A line of ``templates`` is "1.jpg 1 69544" (picture, template, medium), one of ``pairs`` "1 11065 1" (two templates,
    whether they are the same person).
    """
    source = "IJB comes from NIST's Face Challenges page; see docs/recognition.md for the two lists"
    names, ids = [], []
    for number, line in enumerate(_lines(templates, source), 1):
        words = line.split()
        if len(words) != 3 or not all(is_number(w.removeprefix("-")) for w in words[1:]):
            raise PortraitError(f"'{templates}' line {number}: expected 'picture template medium', got {shown(line)}")
        names.append(find_picture(folder / words[0]))
        ids.append((int(words[1]), int(words[2])))
    table = []
    for number, line in enumerate(_lines(pairs, source), 1):
        words = line.split()
        if len(words) != 3 or not all(map(is_number, words)) or words[2] not in "01":
            raise PortraitError(f"'{pairs}' line {number}: expected 'template template 0|1', got {shown(line)}")
        table.append([int(w) for w in words])
    if not names or not table:
        raise PortraitError(f"'{pairs if names else templates}': is empty; {source}")
    missing = [str(f) for f in names if not is_picture(f)]
    if missing:
        raise missing_pictures(f"'{templates}'", missing, len(names), source)
    ids, table = np.array(ids), np.array(table)
    unknown = np.setdiff1d(table[:, :2], ids[:, 0])
    if len(unknown):
        raise PortraitError(f"'{pairs}': {listed([str(u) for u in unknown], 'template')} not in '{templates}'")
    return Templates(tuple(names), ids[:, 0], ids[:, 1], table[:, 0], table[:, 1], table[:, 2].astype(bool))


def is_number(word: str) -> bool:
    """Whether a word is a whole number, from 0, that is counted by in 64 bits."""
    return word.isascii() and word.isdigit() and len(word) <= 18


def shown(line: str, most: int = 80) -> str:
    """A line of a list for an error's text, not more of it than tells where to look."""
    return f"'{line[:most]}...'" if len(line) > most else f"'{line}'"


def _lines(path: Path, source: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise PortraitError(f"'{path}': can't be read ({error.strerror}); {source}") from None
    except UnicodeDecodeError:
        raise PortraitError(f"'{path}': isn't a text in UTF-8; {source}") from None
    return [line.strip() for line in lines if line.strip()]


@dataclass(frozen=True)
class Protocol:
    """How a list is read: pairs in folds, templates, or a data set whose poses are compared."""

    read: Callable[..., Pairs | Templates | FaceFolder]  # from the folder and the files of ``lists``
    lists: tuple[str, ...] = ()  # settings of [[evaluate]] that it can't do without: "pairs", "templates"


PROTOCOLS: Registry[Protocol] = Registry("protocol")
PROTOCOLS.add("lfw", Protocol(read_lfw, ("pairs",)))
PROTOCOLS.add("cfp-ff", Protocol(lambda folder: read_cfp(folder, "FF")))
PROTOCOLS.add("cfp-fp", Protocol(lambda folder: read_cfp(folder, "FP")))
PROTOCOLS.add("pairs", Protocol(read_pairs_csv, ("pairs",)))
PROTOCOLS.add("ijb", Protocol(read_ijb, ("templates", "pairs")))
PROTOCOLS.add("poses", Protocol(read_folder))
