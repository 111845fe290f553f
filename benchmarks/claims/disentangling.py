"""Self-supervised disentangling: the embedded face of a person is the same from other frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks.claims.rows import spread_rows
from neural_render.corpus import Faces
from neural_render.methods.disentangling.method import networks_of
from neural_render.methods.weights import Weights

EMBEDDED = 4  # frames that a face is embedded from


def within_over_between(first: Tensor, second: Tensor) -> float:
    """Mean absolute difference of one person's two faces over that of different people's.

    first, second: (P, ...), each person's face, from different pictures.
    """
    away = (first[:, None] - second[None]).abs().flatten(2).mean(2)
    same = torch.eye(len(away), dtype=torch.bool)
    return float(away[same].mean() / away[~same].mean())


@torch.no_grad()
def claims(weights: Weights, unseen: Faces) -> dict[str, float]:
    """Of faces embedded from each person's first clip, and from their last, of which everybody does the same."""
    networks, faces = networks_of(weights), ([], [])
    for person in range(len(unseen.people)):
        clips = np.unique(unseen.clip[unseen.person == person])
        for found, clip in zip(faces, (clips[0], clips[-1])):
            found.append(networks.embedder(unseen.pictures(spread_rows(unseen, clip, EMBEDDED))[None]).face[0])
    first, second = (torch.stack(found) for found in faces)
    return {"disentangling.within_over_between": within_over_between(first, second)}
