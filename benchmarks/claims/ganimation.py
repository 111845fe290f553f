"""GANimation: each unit moves its part by as much as asked, and attention leaves the rest alone."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.claims.unit_reader import UnitReader, correlations
from benchmarks.image_metrics import psnr
from facemodel.action_units import STRONGEST
from neural_render.corpus import Faces
from neural_render.methods.common.people import to_pixels
from neural_render.methods.ganimation.alignment import cut, places
from neural_render.methods.ganimation.editing import pasted
from neural_render.methods.ganimation.networks import Edit, EditGenerator, UnitCritic
from neural_render.methods.weights import Weights, load_network

TRUE = 800  # unseen pictures, at most, that say how well units can be read
UNITS = 12  # those that move most where it was trained
LEVELS = 4  # strengths asked for, from none to what is rare in the corpus
RARE = 97  # percent of its frames that show less
KEPT = 0.9  # from which on a pixel is outside the attention's reach
UNCHANGED = 99.0  # dB that a background counts as in which no pixel changes
AROUND = 1.15  # times the landmarks' hull, beyond which is background


def claims(weights: Weights, trained: Faces, unseen: Faces) -> dict[str, float]:
    """Figures of the paper's claims, on one photograph each of unseen people.

    Changes of units that were asked for are compared with those read, since what is read of a face at rest is its own.
    ``reader`` is how well true units are read from pictures, which is the measure's own limit.
    """
    reader = UnitReader.fitted(trained)
    some = np.arange(0, len(unseen), -(-len(unseen) // TRUE))
    truth = correlations(unseen.units[some], reader(unseen.pictures(some), unseen.landmarks[some]))
    chosen = np.argsort(-trained.units.std(0))[:UNITS]
    rows = [np.flatnonzero(unseen.person == p) for p in np.unique(unseen.person)]
    rows = np.array([r[unseen.units[r].sum(1).argmin()] for r in rows])
    photographs = unseen.pictures(rows)
    outside = np.stack([background(points, unseen.size) for points in unseen.landmarks[rows]])
    own = reader(photographs, unseen.landmarks[rows])
    found, changes, quiet = [], [], []
    for column in chosen:
        name, most = trained.unit_names[column], np.percentile(trained.units[:, column], RARE)
        asked = np.linspace(0, most, LEVELS)
        measured = []
        for value in asked:
            edit = edited(weights, photographs, unseen.landmarks[rows], name, float(value))
            measured.append((reader(edit.picture, unseen.landmarks[rows]) - own)[:, column])
            kept = (edit.kept > KEPT).expand_as(edit.picture)
            changes.append(float(((edit.picture - photographs).abs()[kept] * 127.5).mean()) if kept.any() else 255.0)
            quiet.append(psnr(to_pixels(edit.picture), to_pixels(photographs), outside))
        changed = asked[:, None] - unseen.units[rows, column]  # of each person's photograph
        both = changed.reshape(-1, 1), np.concatenate(measured)[:, None]
        found.append(float(correlations(*both)[0]))
    return {
        "ganimation.units": float(np.mean(found)),
        "ganimation.reader": float(truth[chosen].mean()),
        "ganimation.change_outside_mask": float(np.mean(changes)),
        "ganimation.background_psnr": min(float(np.mean(quiet)), UNCHANGED),
        **{f"ganimation.units.{trained.unit_names[c]}": r for c, r in zip(chosen, found)},
    }


@torch.no_grad()
def edited(weights: Weights, photographs: Tensor, landmarks: np.ndarray, name: str, value: float) -> Edit:
    """Photographs (N, 3, S, S) with one unit at a value, 0 to 5, and their others as the critic reads them.

    landmarks: (N, L, 2) in the photographs.
    """
    h = weights.header
    reader = load_network(UnitCritic(len(h.units), h.size, h.critic), weights, "reader")
    generator = load_network(EditGenerator(len(h.units), h.width), weights, "generator")
    place = places(weights.tensors["face"], torch.from_numpy(landmarks).float())
    patches = cut(photographs, place)
    wanted = reader(patches).clamp(0, 1)
    wanted[:, h.units.index(name)] = value / STRONGEST
    kept, added = pasted(generator(patches, wanted), patches, place, photographs.shape[-1])
    colours = photographs + added
    return Edit((photographs + (1 - kept) * added).clamp(-1, 1), kept, colours)


def background(points: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: beyond a face's landmarks (L, 2), -1 to 1."""
    middle = points.mean(0)
    outline = ((middle + AROUND * (points - middle) + 1) * size / 2).round().astype(np.int32)
    inside = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), cv2.convexHull(outline), 1)
    return inside == 0
