"""An embedder on a protocol: rows for the tables, curves for the plots."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from recognition.audit import folds_of_one_kind, notes_of, notes_of_templates
from recognition.folder import FaceFolder, listed
from recognition.model import Embedded, Embedder, embed_files
from recognition.pictures import find_picture
from recognition.poses import USUAL, gallery_and_probes, pose_pairs
from recognition.protocols import PROTOCOLS, Pairs, Templates
from recognition.settings import Evaluation
from recognition.verification import RATES, Verification, confidence, cosines, pool_templates, rank_one, roc, verify


@dataclass(frozen=True)
class Result:
    """One row of the tables, and its ROC. NaN is what a protocol doesn't have, or has too few pairs for."""

    protocol: str
    pairs: int
    left_out: int  # pairs whose pictures couldn't be read
    accuracies: tuple[float, ...] = ()  # of the folds
    eer: float = np.nan
    auc: float = np.nan
    tar: dict[float, float] = field(default_factory=dict)  # by false accept rate
    rank_one: float = np.nan
    curve: np.ndarray = field(default_factory=lambda: np.empty((2, 0)))  # (2, K) false and true accept rates
    unreadable: tuple[str, ...] = ()  # pictures; not in results.csv
    notes: tuple[str, ...] = ()  # what is wrong with the list, in words

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.accuracies)) if self.accuracies else np.nan

    @property
    def std(self) -> float:
        """Standard deviation of the folds' accuracies."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else np.nan

    @property
    def interval(self) -> float:
        """Half of the 95 % confidence interval over the folds."""
        return confidence(np.array(self.accuracies))


def evaluate(
    embedder: Embedder, wanted: Evaluation, base: Path, report: Report = ignore, *, trained_on: Collection[str] = ()
) -> list[Result]:
    """Runs one protocol. Raises PortraitError for what can't be used.

    base: the folder that its paths start from. trained_on: names of the identities of the training, so that results
    can say who is tested too; they are in the header of weights (`recognition.model.load_embedder`).
    """
    name, folder, protocol = wanted.name or wanted.protocol, base / wanted.folder, PROTOCOLS[wanted.protocol]
    for setting in protocol.lists:
        if not getattr(wanted, setting):
            raise PortraitError(f"[[evaluate]] {name}: needs '{setting}', the protocol's list; see docs/recognition.md")
    given = protocol.read(folder, *(base / getattr(wanted, setting) for setting in protocol.lists))
    if isinstance(given, FaceFolder):
        return evaluate_poses(embedder, given.of_split(wanted.split), name, report, trained_on)
    yaw = read_yaw(base / wanted.yaw, folder, given.files) if wanted.yaw else None
    embedded = embed_files(embedder, list(given.files), yaw, report=report, stage=name)
    if isinstance(given, Templates):
        notes = notes_of_templates(given.first, given.second, given.same)
        result = verify_templates(embedded.features, given, name)
    else:
        result, notes = verify_pairs(embedded.features, given, name), notes_of(given, trained_on)
    return [replace(result, unreadable=_named(embedded, given.files), notes=(*result.notes, *notes))]


def _named(embedded: Embedded, files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(str(files[k]) for k in embedded.unreadable)


def verify_pairs(features: np.ndarray, pairs: Pairs, name: str) -> Result:
    """The fold protocol on embeddings (N, D) of the pairs' files; pairs with a row of NaN are left out and counted."""
    fine = np.isfinite(features[pairs.first, 0]) & np.isfinite(features[pairs.second, 0])
    if not fine.any():
        raise PortraitError(f"protocol {name}: none of its pictures can be decoded; see whether they are JPEG or PNG")
    first, second = features[pairs.first[fine]], features[pairs.second[fine]]
    same, folds = pairs.same[fine], pairs.folds[fine]
    done = verify(first, second, same, folds)
    return replace(
        _scored(name, done), accuracies=tuple(done.accuracies.tolist()), left_out=int((~fine).sum()),
        notes=folds_of_one_kind(same, folds),
    )  # fmt: skip


def _scored(name: str, done: Verification) -> Result:
    tar = {far: done.tar(far) for far in RATES}
    return Result(name, len(done.same), 0, (), done.eer, done.auc, tar, curve=_thin(*roc(done.scores, done.same)))


def _thin(false: np.ndarray, true: np.ndarray, most: int = 400) -> np.ndarray:
    """At most so many points of a ROC, dense at low false accept rates."""
    if len(false) > most:
        positive = false[false > 0][0]
        marks = np.concatenate([np.geomspace(positive, 1, most // 2), np.linspace(0, 1, most // 2)])
        rows = np.unique(np.searchsorted(false, marks, side="right") - 1)
        false, true = false[rows], true[rows]
    return np.stack([false, true])


def evaluate_poses(
    embedder: Embedder, folder: FaceFolder, name: str, report: Report = ignore, trained_on: Collection[str] = ()
) -> list[Result]:
    """A row a bin of |yaw|: frontal against turned, and rank-1 of the bin's pictures among the frontal ones."""
    if np.isnan(folder.yaw).any():
        raise PortraitError(f"data '{folder.root}': {int(np.isnan(folder.yaw).sum())} pictures have no yaw; add it")
    embedded, results = embed_files(embedder, folder.paths, folder.yaw, report=report, stage=name), []
    features, unreadable = embedded.features, _named(embedded, folder.paths)
    for low, high in USUAL.bins:
        pairs, (gallery, probes) = pose_pairs(folder, low, high), gallery_and_probes(folder, low, high)
        if pairs is None:
            continue
        result = verify_pairs(features, pairs, f"{name} {low:g}-{high:g}")
        gallery, probes = (rows[np.isfinite(features[rows, 0])] for rows in (gallery, probes))
        probes = probes[np.isin(folder.labels[probes], folder.labels[gallery])]
        found = np.nan
        if len(probes):
            found = rank_one(features[gallery], folder.labels[gallery], features[probes], folder.labels[probes])
        notes = result.notes + notes_of(pairs, trained_on)
        results.append(replace(result, rank_one=found, unreadable=unreadable, notes=notes))
    if not results:
        raise PortraitError(
            f"data '{folder.root}': no bin of yaw has one person's frontal (to 15 degrees) and turned pictures in two "
            "folds; add pictures, or choose another split"
        )
    return results


def verify_templates(features: np.ndarray, lists: Templates, name: str) -> Result:
    """IJB's 1:1 protocol on embeddings (N, D) of the lists' files; rows of NaN are left out."""
    fine = np.isfinite(features[:, 0])
    if not fine.any():
        raise PortraitError(f"protocol {name}: none of its pictures can be decoded; see whether they are JPEG or PNG")
    ids, pooled = pool_templates(features[fine], lists.templates[fine], lists.media[fine])
    # a template none of whose pictures can be read isn't dropped in silence: its pairs are counted
    there = np.isin(lists.first, ids) & np.isin(lists.second, ids)
    first, second = (np.searchsorted(ids, side[there]) for side in (lists.first, lists.second))
    same = lists.same[there]
    blocks = np.array_split(np.arange(len(same)), len(same) // 100_000 + 1)
    scores = np.concatenate([cosines(pooled[first[b]], pooled[second[b]]) for b in blocks])
    done = Verification(scores, same, np.zeros(len(same), np.int64), np.empty(0))
    return replace(_scored(name, done), left_out=int((~there).sum()))


def read_yaw(path: Path, folder: Path, files: tuple[Path, ...]) -> np.ndarray:
    """(N,) yaws in degrees from a CSV with the columns file (in ``folder``) and yaw; every file has to be there."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            known = {find_picture(folder / row["file"]): float(row["yaw"]) for row in csv.DictReader(file)}
    except OSError as error:
        raise PortraitError(f"yaw '{path}': can't be read ({error.strerror})") from None
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise PortraitError(f"yaw '{path}': expected the columns file and yaw, in degrees ({error})") from None
    missing = [str(f) for f in files if not np.isfinite(known.get(f, np.nan))]
    if missing:
        raise PortraitError(f"yaw '{path}': {listed(missing, 'picture')} without a yaw; add them")
    return np.array([known[f] for f in files], np.float32)
