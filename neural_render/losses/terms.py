"""Losses that compare pictures, or what networks make of them: functions that know nothing of training."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from neural_render.losses.base import LOSSES, Loss


def l1(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference; with ``weight`` (N, 1, H, W) >= 0 each picture's weighted mean, averaged over pictures.

    Either way the loss of a batch is the mean of its parts' losses, so that processes can share a batch.
    """
    difference = (image.float() - target.float()).abs()
    if weight is None:
        return difference.mean()
    weight = weight.float().expand_as(difference)
    return ((difference * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-8)).mean()


def pyramid_l1(image: Tensor, target: Tensor, smallest: int = 4) -> Tensor:
    """Mean over halvings, down to ``smallest`` px, of the mean absolute difference; full size isn't among them.

    A flow that is off by more than a detail's width has no gradient from that detail; from its blur it has.
    """
    image, target, found = image.float(), target.float(), []
    while min(image.shape[-2:]) >= 2 * smallest:
        image, target = F.avg_pool2d(image, 2), F.avg_pool2d(target, 2)
        found.append(l1(image, target))
    return sum(found) / max(len(found), 1)


def total_variation(maps: Tensor) -> Tensor:
    """Mean over maps (N, C, H, W) of the summed absolute differences of neighbours."""
    down, across = maps.diff(dim=2).abs(), maps.diff(dim=3).abs()
    return (down.sum((1, 2, 3)) + across.sum((1, 2, 3))).mean()


def feature_matching(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the mean absolute difference of features; the real image's are taken as given.

    Wang et al., pix2pixHD, CVPR 2018, Eq. 4, with the mean in place of the sum over layers.
    """
    return sum(F.l1_loss(a.float(), b.detach().float()) for a, b in zip(made, real, strict=True)) / len(made)


def embedding_distance(made: Tensor, real: Tensor) -> Tensor:
    """One minus the cosine between embeddings (N, D), the mean; the real ones are taken as given."""
    return (1 - F.cosine_similarity(made, real.detach(), dim=-1)).mean()


LOSSES.add("l1", Loss.of(lambda c: l1(c.made, c.real, c.get("weight"))))
LOSSES.add("pyramid", Loss.of(lambda c: pyramid_l1(c.made, c.real)))
LOSSES.add(
    "feature-matching", Loss.of(lambda c: feature_matching(c["on_made"][:-1], c["on_real"][:-1]), "on_made", "on_real")
)
LOSSES.add(
    "identity",
    Loss.of(lambda c: embedding_distance(c["embedded_made"], c["embedded_real"]), "embedded_made", "embedded_real"),
)
