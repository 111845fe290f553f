"""Latent pose descriptors: other people in the same pose and expression are nearest, and adapting makes a likeness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.claims.codes import retrieval
from benchmarks.claims.likeness import Likeness
from neural_render.corpus import Faces
from neural_render.methods.clip import Clip
from neural_render.methods.latent_pose.adaptation import networks_of
from neural_render.methods.latent_pose.method import LatentPose
from neural_render.methods.weights import Weights

ADAPTED = 6  # people who are adapted to, each driven by the next
PICTURES = 8  # that they give
TOGETHER = 64


def claims(weights: Weights, unseen: Faces, clips: Sequence[Clip], work: Path) -> dict[str, float]:
    """clips: of the people of ``unseen``, in the order of `Faces.clip`; all people did the same performances."""
    networks = networks_of(weights)
    with torch.no_grad():
        rows = np.array_split(np.arange(len(unseen)), -(-len(unseen) // TOGETHER))
        codes = torch.cat([networks.of_pose(unseen.pictures(some)) for some in rows]).numpy()
    moment = unseen.performance * (unseen.frame.max() + 1) + unseen.frame
    found = {"latent-pose.retrieval": retrieval(codes, unseen.person, moment)}
    before, after = [], []
    method, likeness = LatentPose(), Likeness(unseen)
    for person in range(min(ADAPTED, len(unseen.people))):
        own = np.unique(unseen.clip[unseen.person == person])
        stranger = np.unique(unseen.clip[unseen.person == (person + 1) % len(unseen.people)])
        photographs, driver = few(clips[own[0]], PICTURES), clips[stranger[-1]]
        out = work / f"adapted-{weights.header.steps}-{person}.safetensors"  # of longer trainings others
        method.adapt(weights, [photographs], out, method.options())
        for scores, some in ((before, weights), (after, method.load(out))):
            made = np.stack(list(method.animate(some, photographs, driver)))
            scores.append(likeness.of_clip(made, person, int(unseen.performance[unseen.clip == stranger[-1]][0])))
    return {
        **found,
        "latent-pose.identity": float(np.mean(before)),
        "latent-pose.identity_gain": float(np.mean(after) - np.mean(before)),
    }


def few(clip: Clip, count: int) -> Clip:
    """A clip's first frames alone."""
    frames = [frame for frame, _ in zip(clip.frames, range(count))]
    points = clip.landmarks.points[: len(frames)]
    scheme = type(clip.landmarks)(clip.landmarks.scheme, points)
    return Clip(
        frames, clip.width, clip.height, clip.fps, clip.person, {**clip.source, "frames": count},
        find_landmarks=lambda _: scheme,
    )  # fmt: skip
