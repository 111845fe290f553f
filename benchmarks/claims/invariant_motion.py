"""Identity-invariant motion: codes hold what is done and not by whom; the discriminator of sequences steadies."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from benchmarks.claims.codes import probe, retrieval
from benchmarks.image_metrics import temporal_error
from neural_render.corpus import Faces
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import to_pixels
from neural_render.methods.invariant_motion.method import InvariantMotion
from neural_render.methods.invariant_motion.networks import MotionNetworks
from neural_render.methods.weights import Weights, load_network

VARIANTS = {"without": {"temporal": False}}
CLIPS = 24  # that are made for the flicker, each of the next person's performance
RESTING, AROUND = 3.0, 2  # of 255, less than which nothing changes; and px around


def claims(weights: Weights, without: Weights, unseen: Faces, clips: Sequence[Clip]) -> dict[str, float]:
    """Figures of the paper's claims.

    Args:
        without: weights of the same training with ``temporal=False``.
        unseen: all frames of people who did the same performances.
        clips: theirs, in the order of `Faces.clip`.
    """
    codes = motion_codes(weights, unseen)
    moment = unseen.performance * (unseen.frame.max() + 1) + unseen.frame
    first = unseen.performance < np.median(np.unique(unseen.performance))
    (flicker, truth, changes), (flicker_without, _, changes_without) = (
        shaking(some, unseen, clips) for some in (weights, without)
    )
    return {
        "invariant-motion.retrieval": retrieval(codes, unseen.person, moment),
        "invariant-motion.retrieval_of_landmarks": retrieval(flat(unseen.landmarks), unseen.person, moment),
        "invariant-motion.person_over_chance": probe(codes, unseen.person, first) * len(unseen.people),
        "invariant-motion.person_over_chance_of_landmarks": (
            probe(flat(unseen.landmarks), unseen.person, first) * len(unseen.people)
        ),
        "invariant-motion.flicker": flicker,
        "invariant-motion.flicker_of_truth": truth,
        "invariant-motion.flicker_ratio": flicker / flicker_without,
        "invariant-motion.changes_ratio": changes / changes_without,
    }


def flat(landmarks: np.ndarray) -> np.ndarray:
    """(N, 2 P) of (N, L, 2): every eighth point, as many numbers as a probe can be fitted to."""
    return landmarks[:, ::8].reshape(len(landmarks), -1)


@torch.no_grad()
def motion_codes(weights: Weights, faces: Faces) -> np.ndarray:
    """(N, M), those of a clip from its whole sequence."""
    h = weights.header
    encoder = load_network(MotionNetworks(h.points, h.width, h.motion), weights, "networks").motion
    codes = np.empty((len(faces), h.motion), np.float32)
    for clip in np.unique(faces.clip):
        rows = np.flatnonzero(faces.clip == clip)
        codes[rows] = encoder(torch.from_numpy(faces.landmarks[rows])[None])[0].numpy()
    return codes


def shaking(weights: Weights, faces: Faces, clips: Sequence[Clip]) -> tuple[float, float, float]:
    """Of people doing what others did, of 255: how much changes from frame to frame where the true pictures rest, made
    and true; and how far all changes are from the true ones.

    The last is mostly of outlines that are a pixel off while a head moves, which isn't flicker.
    """
    method, found = InvariantMotion(), []
    for number in np.linspace(0, len(clips) - 1, min(CLIPS, len(clips))).round().astype(int):
        rows = np.flatnonzero(faces.clip == number)
        truth = faces.counterpart(rows, (faces.person[rows[0]] + 1) % len(faces.people))
        if (truth < 0).any():
            continue
        target = clips[int(faces.clip[truth[0]])]
        made = np.stack(list(method.animate(weights, target, clips[number])))[faces.frame[rows]]
        true = to_pixels(faces.pictures(truth))
        rest = resting(true) & (np.diff(faces.frame[rows]) == 1)[:, None, None]
        changes = [change(pictures)[rest].mean() if rest.any() else np.nan for pictures in (made, true)]
        found.append([*changes, temporal_error(made, true, faces.frame[rows])])
    return tuple(np.nanmean(found, 0).tolist()) if found else (np.nan,) * 3


def change(pictures: np.ndarray) -> np.ndarray:
    """(F - 1, S, S): by how much pictures (F, S, S, 3) uint8 differ from those before them, of 255."""
    return np.abs(np.diff(pictures.astype(np.float32), axis=0)).mean(-1)


def resting(pictures: np.ndarray) -> np.ndarray:
    """(F - 1, S, S) bool: where pictures (F, S, S, 3) uint8 are as before, for `AROUND` px to all sides."""
    around = np.ones((2 * AROUND + 1,) * 2)
    return np.stack([cv2.dilate(moved, around) < RESTING for moved in change(pictures)])
