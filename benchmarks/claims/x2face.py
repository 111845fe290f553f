"""X2Face: more source frames embed more. Everything else of its claims is in the bench's own measures."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.image_metrics import psnr
from benchmarks.methods_people import Bench, truth_of
from neural_render.methods.common.people import to_pixels
from neural_render.methods.weights import Weights
from neural_render.methods.x2face.method import X2FaceMethod

MORE = 4


@torch.no_grad()
def claims(weights: Weights, bench: Bench) -> dict[str, float]:
    """dB of PSNR that four source frames gain over one, for unseen people driven by another clip of theirs."""
    method, size, gains = X2FaceMethod(), weights.header.size, []
    for pair in bench.corpus.pairs("same"):
        one, more = (method.person(weights, pair.target, count=count) for count in (1, MORE))
        for picture, _ in truth_of(pair.truth, size):
            shown = torch.from_numpy(picture).movedim(-1, 0)[None].float() / 127.5 - 1
            few, many = (to_pixels(p.network.drive(p.face, p.network.vector(shown))[0]) for p in (one, more))
            gains.append(psnr(many, picture) - psnr(few, picture))
    return {"psnr_gained_by_4_frames": float(np.mean(gains))}
