"""Which surface samples show skin, and whether in the usual light or in a cast shadow.

A network guesses it from the picture alone (`fitting.occlusion.network`), coarsely and not always rightly. Once there
is a fit, it's known what each sample would look like in either light: the residuals correct the guess, near the edges
above all.
"""

from __future__ import annotations

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

from fitting.observation.crop import Observation
from fitting.occlusion.network import PARTS, SIZE, visible_parts
from fitting.policy.settings import Occlusion


def seen_parts(seen: Observation) -> Tensor:
    """(F, 3, S, S): how likely the pixels of the squares about the faces show each of `PARTS`."""
    return visible_parts(seen.levels[SIZE].stack[:, :3].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def parts_at(parts: Tensor, where: Tensor) -> Tensor:
    """(F, 3, N) of (F, 3, S, S) at the places (F, N, 2) within the squares, 0 to 1."""
    return F.grid_sample(parts, where[:, None] * 2 - 1, align_corners=False)[:, :, 0]


def shares(parts: Tensor, visible: Tensor) -> Tensor:
    """(F, 3): of the (F, N) visible samples, which share shows each of `PARTS`, going by (F, 3, N)."""
    most = F.one_hot(parts.argmax(1), len(PARTS)).transpose(1, 2)
    return (most * visible[:, None]).sum(2) / visible.sum(1, keepdim=True).clamp_min(1)


def neighbours(positions: Tensor, policy: Occlusion) -> Tensor:
    """(N, K): the samples around each on the surface, nearest first."""
    points = positions.cpu().numpy()
    count = max(policy.fewest, round(policy.around * len(points)))
    return torch.from_numpy(cKDTree(points).query(points, count)[1]).to(positions.device)


def lit_and_shaded(parts: Tensor, errors: Tensor, scale: float, near: Tensor, policy: Occlusion) -> Tensor:
    """(2, F, N) bool: the samples that show skin in its usual light, and in a cast shadow.

    Neither is a sample near an edge, where a pixel mixes both.

    Args:
        parts: (F, 3, N) how likely each of `PARTS` is.
        errors: (1, F, N) or (2, F, N), of either light: mean squares of the samples' colours' residuals, of 1.
        scale: that of the robust colour term, of 1.
        near: see `neighbours`.
    """
    odds = lambda a, b: (a.clamp_min(policy.least) / b.clamp_min(policy.least)).log()  # noqa: E731
    lit, shaded, other = parts.unbind(1)
    # A light that is still far off says little.
    most = parts.argmax(1)
    own = torch.stack([torch.where(most == k, e, torch.nan) for k, e in enumerate(errors)])
    off = own.nanquantile(policy.typical, dim=2, keepdim=True).nan_to_num(0.0)
    cost = (errors / (2 * off.clamp_min(max(scale, policy.scale) ** 2))).clamp_max(policy.most)
    next_to = near[:, : max(policy.fewest, round(policy.next_to * len(near)))]
    skin = (odds(lit + shaded, other) - cost.amin(0))[:, next_to].mean(-1) > 0
    skin = skin & (skin[:, next_to].float().mean(-1) > policy.shown)
    if len(errors) == 1:
        return torch.stack([skin, torch.zeros_like(skin)])
    dark = (odds(shaded, lit) + cost[0] - cost[1])[:, near].mean(-1) > 0
    skin = skin & ((dark[:, near] == dark[..., None]).float().mean(-1) > policy.alike)
    return torch.stack([skin & ~dark, skin & dark])
