"""What a verification protocol is, the table of them, and what their readers share.

A protocol reads its own lists (LFW's, CFP's, a CSV, IJB's templates, yaws) and gives `Pairs`, `Templates` or a folder
with yaws; `recognition.evaluation` scores any of the three. Each reader checks the whole list before anything is
embedded, and names what is missing. The ``.bin`` packs that circulate for LFW, CFP and AgeDB are Python pickles, which
this project doesn't open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foundation.errors import PortraitError
from foundation.registry import Registry
from recognition.folder import LISTED, FaceFolder, listed
from recognition.pictures import find_picture

if TYPE_CHECKING:
    from recognition.settings import Evaluation


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, folds and the truth."""

    files: tuple[Path, ...]  # each picture once
    first: np.ndarray  # (P,) int64, rows of ``files``
    second: np.ndarray  # (P,)
    same: np.ndarray  # (P,) bool
    folds: np.ndarray  # (P,) int64, from 0
    people: tuple[str, ...] | None = None  # of each file, where the list says who is on it


@dataclass(frozen=True)
class Templates:
    """IJB's 1:1 protocol: which pictures are a template, and which templates are compared."""

    files: tuple[Path, ...]  # (N)
    templates: np.ndarray  # (N,) template ids
    media: np.ndarray  # (N,) media ids
    first: np.ndarray  # (P,) template ids
    second: np.ndarray  # (P,)
    same: np.ndarray  # (P,) bool


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
    missing = [str(f) for f, found in files.items() if not found.is_file()]
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


def lines_of(path: Path, source: str) -> list[str]:
    """A text's lines that aren't empty; PortraitError where it can't be read, with where it comes from."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise PortraitError(f"'{path}': can't be read ({error.strerror}); {source}") from None
    except UnicodeDecodeError:
        raise PortraitError(f"'{path}': isn't a text in UTF-8; {source}") from None
    return [line.strip() for line in lines if line.strip()]


@dataclass(frozen=True)
class Protocol:
    """A verification protocol: a file of this folder, or of an installed package, adds one to `PROTOCOLS`."""

    read: Callable[[Evaluation, Path], Pairs | Templates | FaceFolder]
    """From an ``[[evaluate]]`` and the folder that its paths start from. A `FaceFolder` is tested by yaw."""
    needs: tuple[str, ...] = ()
    """Which settings of the `Evaluation` have to be given besides the folder: the protocol's lists."""


PROTOCOLS: Registry[Protocol] = Registry("protocol", "recognition.protocols")
