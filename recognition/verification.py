"""Verification: are two faces one person's? Scores are cosines; ``same`` is True for one person's pairs.

ROC and areas come from scikit-learn; what it doesn't have is here: the fold protocol, the error at a false accept rate,
confidence over folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score, roc_curve

from foundation.errors import PortraitError

RATES = (1e-1, 1e-2, 1e-3, 1e-4)  # false accept rates of the tables


@dataclass(frozen=True)
class Verification:
    """A protocol's result."""

    scores: np.ndarray  # (P,) with each fold's own mean subtracted
    same: np.ndarray  # (P,) bool
    folds: np.ndarray  # (P,) int64
    accuracies: np.ndarray  # (K,) of each fold of both kinds of pairs, at the threshold that was best on the others

    @property
    def accuracy(self) -> float:
        return float(self.accuracies.mean())

    @property
    def eer(self) -> float:
        return equal_error_rate(self.scores, self.same)

    @property
    def auc(self) -> float:
        return float(roc_auc_score(self.same, self.scores))

    def tar(self, far: float) -> float:
        """NaN where there are too few different pairs for this rate."""
        return true_accept_rate(self.scores, self.same, far) if (~self.same).sum() * far >= 1 else float("nan")


def verify(first: np.ndarray, second: np.ndarray, same: np.ndarray, folds: np.ndarray) -> Verification:
    """The fold protocol of LFW, CFP and AgeDB on (P, D) embeddings of the pairs' two sides.

    As SphereFace's evaluation: for each fold the mean embedding of the other folds is subtracted, embeddings are scaled
    to length 1, the threshold that is best on the other folds decides. A fold that has, or leaves, pairs of one kind
    only has no accuracy. PortraitError for rows that aren't finite.
    """
    names, same = np.unique(folds), same.astype(bool)
    if len(names) < 2:
        raise PortraitError(f"folds: expected two or more, got {len(names)}; the threshold comes from the others")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise PortraitError("embeddings: some aren't finite; leave out pairs whose pictures couldn't be read")
    scores, accuracies = np.empty(len(same)), []
    for name in names:
        own = folds == name
        mean = np.concatenate([first[~own], second[~own]]).mean(0)
        moved = cosines(first - mean, second - mean)
        scores[own] = moved[own]
        if all(part.any() and not part.all() for part in (same[own], same[~own])):
            threshold = best_threshold(moved[~own], same[~own])
            accuracies.append(np.mean((moved[own] >= threshold) == same[own]))
    return Verification(scores, same, folds, np.array(accuracies))


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P, D), (P, D) -> (P,) in float64."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / np.maximum(lengths, 1e-12)


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the most right answers to ``score >= threshold``; midway between two scores."""
    order = np.argsort(-scores, kind="stable")
    ordered, truth = scores[order], same[order].astype(int)
    right = np.concatenate([[0], np.cumsum(2 * truth - 1)])  # of the k highest called "same", but for a constant
    cut = np.concatenate([[True], ordered[1:] < ordered[:-1], [True]])  # equal scores can't be told apart
    k = int(np.where(cut, right, right.min() - 1).argmax())
    if k == 0:
        return float(np.nextafter(ordered[0], np.inf))
    return float(ordered[-1] if k == len(ordered) else (ordered[k - 1] + ordered[k]) / 2)


def roc(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true accept rates at every threshold, both rising from 0 to 1."""
    if same.all() or not same.any():
        raise PortraitError("pairs: a ROC needs pairs of one person and pairs of two")
    false, true, _ = roc_curve(same, scores, drop_intermediate=False)
    return false, true


def equal_error_rate(scores: np.ndarray, same: np.ndarray) -> float:
    """The error where false accepts are as frequent as false rejects, between the ROC's points linearly."""
    false, true = roc(scores, same)
    difference = false + true - 1  # false accepts minus false rejects, rising
    k = int(np.searchsorted(difference, 0))  # the first point at or above 0; the last is 1
    if difference[k] == 0 or k == 0:
        return float(false[k])
    share = -difference[k - 1] / (difference[k] - difference[k - 1])
    return float(false[k - 1] + share * (false[k] - false[k - 1]))


def true_accept_rate(scores: np.ndarray, same: np.ndarray, far: float) -> float:
    """The largest true accept rate at a false accept rate of at most ``far``.

    Raises PortraitError with fewer than 1 / far different pairs, which can't show such a rate.
    """
    different = int((~same.astype(bool)).sum())
    if different * far < 1:
        raise PortraitError(f"far: {different} pairs of different people can't show a rate of {far:g}; use more pairs")
    false, true = roc(scores, same)
    return float(true[false <= far].max())


def confidence(values: np.ndarray) -> float:
    """Half the width of the mean's 95 % confidence interval, by Student's t over the folds; NaN for one or two values.

    Of two it would be nine times their distance, which says nothing. Folds share people and training pairs, so it is a
    guide: the truth is somewhat wider.
    """
    if len(values) < 3:
        return float("nan")
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def rank_one(gallery: np.ndarray, gallery_ids: np.ndarray, probes: np.ndarray, probe_ids: np.ndarray) -> float:
    """Share of probes (P, D) whose nearest gallery embedding (G, D), by cosine, is the same person's.

    Closed set: PortraitError where a probe's person isn't in the gallery.
    """
    absent = np.setdiff1d(probe_ids, gallery_ids)
    if len(absent):
        raise PortraitError(f"probes: {len(absent)} people aren't in the gallery (first: {absent[0]}); leave them out")
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (gallery, probes)]
    found = [gallery_ids[(block @ unit[0].T).argmax(1)] for block in np.array_split(unit[1], len(probes) // 4096 + 1)]
    return float(np.mean(np.concatenate(found) == probe_ids))


def pool_templates(features: np.ndarray, templates: np.ndarray, media: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IJB's templates: the mean over a template's media of the mean over each medium's pictures; scaled to length 1.

    features (N, D), templates (N,) and media (N,) ids -> (T,) template ids, sorted, and (T, D).
    """
    pairs, of_picture = np.unique(np.stack([templates, media], 1), axis=0, return_inverse=True)
    names, of_medium = np.unique(pairs[:, 0], return_inverse=True)
    by_medium = _group_mean(features, of_picture.reshape(-1), len(pairs))
    pooled = _group_mean(by_medium, of_medium, len(names))
    return names, pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)


def _group_mean(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, group, values)
    return sums / np.bincount(group, minlength=groups)[:, None]
