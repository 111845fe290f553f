"""X2Face: more source frames embed more. Its other claims are the bench's own landmark errors."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.claims.rows import spread_rows
from benchmarks.image_metrics import psnr
from neural_render.corpus import Faces
from neural_render.methods.common.people import to_pixels
from neural_render.methods.weights import Weights
from neural_render.methods.x2face.method import network_of

MORE, DRIVEN = 4, 6  # source frames; frames of a clip that are driven by


@torch.no_grad()
def claims(weights: Weights, unseen: Faces) -> dict[str, float]:
    """dB of PSNR that four source frames gain over the first of them: people's last clips drive their first ones."""
    network, gains = network_of(weights), []
    for person in range(len(unseen.people)):
        clips = np.unique(unseen.clip[unseen.person == person])
        sources = unseen.pictures(spread_rows(unseen, clips[0], MORE))
        driver = unseen.pictures(spread_rows(unseen, clips[-1], DRIVEN))
        vectors, errors = network.vector(driver), []
        for count in (1, MORE):
            face = network.embedder(sources[None, :count]).face.expand(len(driver), -1, -1, -1)
            made = to_pixels(network.drive(face, vectors))
            errors.append(np.mean([psnr(a, b) for a, b in zip(made, to_pixels(driver))]))
        gains.append(errors[1] - errors[0])
    return {"x2face.psnr_gain_of_4": float(np.mean(gains))}
