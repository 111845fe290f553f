"""Identity-invariant motion: codes hold what is done and not by whom; the discriminator of sequences steadies."""

from __future__ import annotations

from collections.abc import Sequence

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
    flicker = [shaking(some, unseen, clips) for some in (weights, without)]
    return {
        "invariant-motion.retrieval": retrieval(codes, unseen.person, moment),
        "invariant-motion.retrieval_of_landmarks": retrieval(flat(unseen.landmarks), unseen.person, moment),
        "invariant-motion.person_over_chance": probe(codes, unseen.person, first) * len(unseen.people),
        "invariant-motion.person_over_chance_of_landmarks": (
            probe(flat(unseen.landmarks), unseen.person, first) * len(unseen.people)
        ),
        "invariant-motion.flicker": flicker[0],
        "invariant-motion.flicker_ratio": flicker[0] / flicker[1],
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


def shaking(weights: Weights, faces: Faces, clips: Sequence[Clip]) -> float:
    """Of people doing what others did, how far changes from frame to frame are from the true ones', of 255."""
    method, found = InvariantMotion(), []
    for number in np.linspace(0, len(clips) - 1, min(CLIPS, len(clips))).round().astype(int):
        rows = np.flatnonzero(faces.clip == number)
        truth = faces.counterpart(rows, (faces.person[rows[0]] + 1) % len(faces.people))
        if (truth < 0).any():
            continue
        target = clips[int(faces.clip[truth[0]])]
        made = np.stack(list(method.animate(weights, target, clips[number])))[faces.frame[rows]]
        found.append(temporal_error(made, to_pixels(faces.pictures(truth)), faces.frame[rows]))
    return float(np.mean(found))
