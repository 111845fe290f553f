"""What is wrong with a list of pairs, in words: a result says it beside its numbers.

`notes_of` takes pairs as a protocol lists them, and who the network was trained on; `recognition.evaluation` calls it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from recognition.protocols import Pairs

NAMED = 5  # names in a note; the rest is counted


def notes_of(pairs: Pairs, trained_on: Collection[str] = ()) -> tuple[str, ...]:
    """A sentence a fault: pictures compared with themselves, repeated pairs, people of several folds or trained on.

    trained_on: names of the people of the training, compared with the names that a protocol gives its people.
    """
    copies = copies_of(pairs.files)
    sides = np.sort(np.stack([copies[pairs.first], copies[pairs.second]], 1), axis=1)
    return (
        *_repeated(sides, pairs.same, "picture"),
        *_shared_by_folds(pairs),
        *trained_and_tested([] if pairs.people is None else pairs.people, trained_on),
    )


def notes_of_templates(first: np.ndarray, second: np.ndarray, same: np.ndarray) -> tuple[str, ...]:
    """The same of (P,) pairs of templates, which have no folds and no names."""
    return _repeated(np.sort(np.stack([first, second], 1), axis=1), same, "template")


def copies_of(files: Sequence[Path]) -> np.ndarray:
    """(N,) of each file the first one with the same bytes; only files of one size are read."""
    sizes: dict[int, list[int]] = {}
    for row, file in enumerate(files):
        sizes.setdefault(file.stat().st_size, []).append(row)
    first = np.arange(len(files))
    for rows in (rows for rows in sizes.values() if len(rows) > 1):
        known: dict[bytes, int] = {}
        for row in rows:
            first[row] = known.setdefault(hashlib.sha256(files[row].read_bytes()).digest(), row)
    return first


def _repeated(sides: np.ndarray, same: np.ndarray, what: str) -> list[str]:
    notes = []
    itself = sides[:, 0] == sides[:, 1]
    if itself.any():
        notes.append(f"{_of(itself, 'pairs')} are a {what} with itself, which any network gets right")
    known, of_pair = np.unique(sides, axis=0, return_inverse=True)
    of_pair = of_pair.reshape(-1)
    if len(known) < len(sides):
        notes.append(f"{len(sides) - len(known)} of {len(sides)} pairs repeat another one, and count more than once")
    both = np.intersect1d(of_pair[same], of_pair[~same])
    if len(both):
        notes.append(f"{len(both)} pairs are listed as one person and as two")
    return notes


def folds_of_one_kind(same: np.ndarray, folds: np.ndarray) -> tuple[str, ...]:
    """A note on folds whose pairs are all of one person, or all of two; (P,) both."""
    single = [str(fold) for fold in np.unique(folds) if len(np.unique(same[folds == fold])) == 1]
    if not single:
        return ()
    return (
        f"{len(single)} of {len(np.unique(folds))} folds have pairs of one kind only ({_named(single)}): "
        "they have no accuracy and are left out of it",
    )


def _shared_by_folds(pairs: Pairs) -> list[str]:
    """People of more than one fold: thresholds are then chosen on those they are tested on."""
    if pairs.people is None:
        return []
    names = np.array(pairs.people)
    seen = {fold: set(names[_files_of(pairs, fold)]) for fold in np.unique(pairs.folds)}
    counts: dict[str, int] = {}
    for people in seen.values():
        for name in people:
            counts[name] = counts.get(name, 0) + 1
    shared = sorted(name for name, count in counts.items() if count > 1)
    if not shared:
        return []
    return [f"{len(shared)} of {len(counts)} identities are in more than one fold ({_named(shared)})"]


def _files_of(pairs: Pairs, fold: int) -> np.ndarray:
    own = pairs.folds == fold
    return np.union1d(pairs.first[own], pairs.second[own])


def trained_and_tested(people: Collection[str], trained_on: Collection[str]) -> list[str]:
    """A note on the names that are on both sides, if any is."""
    both = sorted(set(people) & set(trained_on))
    if not both:
        return []
    return [
        f"{len(both)} of {len(set(people))} identities have the name of one that was trained on ({_named(both)}): "
        "where they are the same people, the scores are too good"
    ]


def _of(mask: np.ndarray, what: str) -> str:
    return f"{int(mask.sum())} of {len(mask)} {what}"


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
