"""Frontal-profile verification by yaw, from a data set whose metadata.csv has yaws.

Each bin of |yaw| has pairs of a frontal picture with one turned into the bin: all of one person's pairs, up to a limit,
and as many of two people's. Identities are dealt to folds, and both faces of a pair are of one fold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foundation.errors import PortraitError
from recognition.folder import FaceFolder
from recognition.protocols import Pairs


@dataclass(frozen=True)
class PoseProtocol:
    """What is frontal, what is compared with it, and how much of it."""

    frontal: float = 15.0  # degrees; a frontal face turns at most this much
    bins: tuple[tuple[float, float], ...] = ((15.0, 30.0), (30.0, 45.0), (45.0, 60.0), (60.0, 75.0), (75.0, 90.0))
    limit: int = 3500  # pairs of each kind in a bin, as many as CFP has
    folds: int = 10


USUAL = PoseProtocol()


def pose_pairs(
    folder: FaceFolder, low: float, high: float, *, seed: int = 0, protocol: PoseProtocol = USUAL
) -> Pairs | None:
    """Pairs of a frontal picture and one with low < |yaw| <= high degrees; None where the bin has none of one person.

    So many folds, or as many as have two identities each. Raises PortraitError without yaws, or with fewer than four
    identities.
    """
    draw, turn = np.random.default_rng(seed), np.abs(folder.yaw)
    if np.isnan(turn).all():
        raise PortraitError(f"data '{folder.root}': no yaw in metadata.csv; add it in degrees, to say what is frontal")
    folds = min(protocol.folds, len(folder.identities) // 2)
    if folds < 2:
        raise PortraitError(f"data '{folder.root}': {len(folder.identities)} identities; folds need four or more")
    fold_of = np.empty(len(folder.identities), np.int64)
    fold_of[draw.permutation(len(folder.identities))] = np.arange(len(folder.identities)) % folds
    frontal, turned = turn <= protocol.frontal, (turn > low) & (turn <= high)
    same, different = [], []
    for fold in range(folds):
        inside = fold_of[folder.labels] == fold
        a, b = np.flatnonzero(frontal & inside), np.flatnonzero(turned & inside)
        alike = [(i, j) for i in a for j in b[folder.labels[b] == folder.labels[i]]]
        alike = draw.permutation(np.array(alike, np.int64).reshape(-1, 2))[: protocol.limit // folds]
        unlike = _different(a, b, folder.labels, len(alike), draw)
        for kind, rows in ((same, alike[: len(unlike)]), (different, unlike)):
            kind += [(*row, fold) for row in rows.tolist()]
    if not same:
        return None
    table = np.array(same + different)
    if len(np.unique(table[:, 2])) < 2:
        return None
    truth = np.arange(len(table)) < len(same)
    people = tuple(folder.identities[k] for k in folder.labels)
    return Pairs(tuple(folder.paths), table[:, 0], table[:, 1], truth, table[:, 2], people)


def _different(a: np.ndarray, b: np.ndarray, labels: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """At most ``count`` different pairs (K, 2) of a picture in a and one in b that show two people."""
    if not count:
        return np.empty((0, 2), np.int64)
    drawn = np.stack([draw.choice(a, 8 * count), draw.choice(b, 8 * count)], 1)
    drawn = np.unique(drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]], axis=0)
    return draw.permutation(drawn)[:count]


def gallery_and_probes(
    folder: FaceFolder, low: float, high: float, protocol: PoseProtocol = USUAL
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of identification: each identity's most frontal picture, and its pictures with low < |yaw| <= high."""
    turn = np.where(np.isnan(folder.yaw), np.inf, np.abs(folder.yaw))
    gallery = []
    for label in range(len(folder.identities)):
        own = np.flatnonzero(folder.labels == label)
        best = own[turn[own].argmin()]
        if turn[best] <= protocol.frontal:
            gallery.append(best)
    enrolled = np.isin(folder.labels, folder.labels[gallery])
    return np.array(gallery, np.int64), np.flatnonzero((turn > low) & (turn <= high) & enrolled)
