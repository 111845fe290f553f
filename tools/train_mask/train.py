"""The training and its measures: cross-entropy of soft shares, intersection over union within the face's square."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fitting.occlusion.network import PARTS, MaskNet
from tools.train_landmarks.pictures import Drawn
from tools.train_landmarks.train import BATCH, batches, optimize, save
from tools.train_mask.augmentation import MaskAugmentation


def loss(logits: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of (N, 3, S, S), a mean weighted with (N, S, S)."""
    return -((shares * logits.log_softmax(1)).sum(1) * weights).sum() / weights.sum()


def train(folder: Path, minutes: float, out: Path, start: dict[str, Tensor] | None = None, seed: int = 0) -> MaskNet:
    """Trains for so many minutes on the folder's chunks, and saves to ``out`` every minute and in the end."""
    torch.manual_seed(seed)
    net = MaskNet().to(memory_format=torch.channels_last)
    net.load_state_dict(start or net.state_dict())
    augmentation = MaskAugmentation(seed)

    def batch_loss(*drawn) -> Tensor:
        x, shares, weights = augmentation(*drawn)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x.to(memory_format=torch.channels_last))
        return loss(logits.float(), shares, weights)

    keep: Callable = lambda net: save(net, out)  # noqa: E731
    net = optimize(net, batch_loss, batches(folder, seed), minutes, keep)
    save(net, out)
    return net


def overlap(found: Tensor, true: Tensor) -> float:
    """Intersection over union of two boolean masks."""
    return float((found & true).sum() / (found | true).sum().clamp_min(1))


def evaluate(net: MaskNet, drawn: Drawn, seed: int = 1) -> dict[str, float]:
    """Overlap of each of `PARTS` over all of the squares, on people, things and shadows that weren't trained on."""
    augmentation, found, true = MaskAugmentation(seed), [], []
    with torch.inference_mode():
        for k in range(0, len(drawn), BATCH):
            x, shares, weights = augmentation(drawn.pictures[k : k + BATCH], drawn.points[k : k + BATCH])
            counted = weights > 0.9  # not the rest of the head
            found.append(net(x).argmax(1)[counted])
            true.append(shares.argmax(1)[counted])
    found, true = torch.cat(found), torch.cat(true)
    return {part: overlap(found == k, true == k) for k, part in enumerate(PARTS)}
