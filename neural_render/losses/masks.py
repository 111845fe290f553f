"""Losses that compare masks."""

from __future__ import annotations

from torch import Tensor


def dice(made: Tensor, real: Tensor) -> Tensor:
    """-log(2 <p, q> / (<p, p> + <q, q>)), the mean over masks (N, 1, H, W) in [0, 1]; 0 where they are alike."""
    p, q = made.float().flatten(1), real.float().flatten(1)
    return -(2 * (p * q).sum(1) / (p.square().sum(1) + q.square().sum(1)).clamp_min(1e-8)).clamp_min(1e-8).log().mean()
