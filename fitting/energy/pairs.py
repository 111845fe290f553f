"""Pairs of landmarks: openings of lids and lips, and how high brows stand over the corners of the eyes.

They are differences of two landmarks' rows (`fitting.energy.landmarks`). Openings are small, so the landmarks alone
would lose them; of a brow only the height counts, over where it rests on this person.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from fitting.energy.landmark_points import LandmarkPoints
from fitting.energy.residuals import Residuals
from fitting.observation.crop import Observation
from fitting.policy.weights import TermWeights
from fitting.solver.state import FitState


@lru_cache(maxsize=8)
def strengths(weights: TermWeights, marks: LandmarkPoints) -> Tensor:
    """(P,) how much each pair of landmarks counts."""
    brows = len(marks.on_brows)
    others = len(marks.pairs) - brows
    shares = [weights.pairs / max(others, 1)] * others + [weights.brows / max(brows, 1)] * brows
    return torch.tensor(shares, device=marks.mean.device)


def pair_rows(
    marks: LandmarkPoints,
    landmarks: tuple[Tensor, Tensor],  # residuals (F, L, 2), their Jacobian (F, L, 2, C)
    certain: Tensor,  # (F, L) 0 to 1: known, and turned to the camera
    state: FitState,
    seen: Observation,
    weights: TermWeights,
) -> Residuals:
    """Rows ordered (pair, axis). Of a brow's pair the first is its height across the line between the eyes."""
    residual, jacobian = landmarks
    a, b = marks.pairs.unbind(1)
    value, derivative = residual[:, a] - residual[:, b], jacobian[:, a] - jacobian[:, b]
    brows, across = slice(len(a) - len(marks.on_brows), None), across_eyes(seen, marks)[:, None]
    first = lambda x, dim: torch.stack([x, torch.zeros_like(x)], dim)  # noqa: E731
    value[:, brows] = first((value[:, brows] * across).sum(-1) + state.brows, -1)
    derivative[:, brows] = first((derivative[:, brows] * across[..., None]).sum(-2), -2)
    weight = torch.minimum(certain[:, a], certain[:, b]) * strengths(weights, marks) / (2 * weights.pair_scale**2)
    weight = weight / (1 + value.square().sum(-1) / (4 * weights.pair_scale) ** 2)
    return Residuals(value.flatten(1), both_axes(weight), derivative.flatten(1, 2))


def both_axes(x: Tensor) -> Tensor:
    """(F, K) to the same for both axes of each, (F, 2 K)."""
    return x[..., None].expand(*x.shape, 2).flatten(1)


@lru_cache(maxsize=1)  # each step of a frame asks
def across_eyes(seen: Observation, marks: LandmarkPoints) -> Tensor:
    """(F, 2): unit vectors in the picture, up across the line between the eyes; zero where those aren't known."""
    left, right = seen.landmarks[:, marks.eye_corners].mean(2).unbind(1)
    along = left - right
    across = torch.stack([along[:, 1], -along[:, 0]], -1)  # v points down
    return torch.nan_to_num(across / across.norm(dim=-1, keepdim=True).clamp_min(1e-6))


def eye_openness(points: Tensor, marks: LandmarkPoints) -> Tensor:
    """Opening of the lids over the width of the eye (the eye-aspect ratio): (F, L, 2) px -> (F, 2), left first."""
    half = marks.eye_pairs // 2
    a, b = marks.pairs[: marks.eye_pairs].unbind(1)
    opening = (points[:, a] - points[:, b]).norm(dim=-1).view(-1, 2, half).mean(-1)
    inner, outer = marks.eye_corners.unbind(1)
    width = (points[:, inner] - points[:, outer]).norm(dim=-1)
    return torch.nan_to_num(opening / width.clamp_min(1e-6))
