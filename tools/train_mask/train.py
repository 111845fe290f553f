"""The training and its measures: cross-entropy of soft shares, intersection over union within the face's square."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fitting.occlusion.network import PARTS, MaskNet
from foundation.tensors import write_tensors
from tools.train_mask.augmentation import MaskAugmentation
from tools.train_mask.people import Drawn

BATCH, RATE, AVERAGE = 64, 2e-3, 0.999


def loss(logits: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of (N, 3, S, S), a mean weighted with (N, S, S)."""
    return -((shares * logits.log_softmax(1)).sum(1) * weights).sum() / weights.sum()


def batches(folder: Path, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random batches of all chunks that are in the folder, some chunks at a time, for ever."""
    draw = np.random.default_rng(seed)
    while True:
        files = sorted(folder.glob("[0-9]*.npz"))
        files = [f for f in files if "partial" not in f.name]
        for group in np.array_split(draw.permutation(files), -(-len(files) // 4)):
            chunks = [Drawn.load(f) for f in group]
            order = draw.permutation([(c, k) for c in range(len(chunks)) for k in range(len(chunks[c]))])
            for part in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH, 2):
                rows = [[getattr(chunks[c], n)[k] for c, k in part] for n in ("pictures", "points")]
                yield tuple(np.stack(r) for r in rows)


def optimize(
    net: nn.Module, batch_loss: Callable, batches: Iterable, minutes: float, keep: Callable = lambda net: None
) -> nn.Module:
    """The running mean of the net's weights after so many minutes of AdamW on ``batch_loss(*batch)``.

    ``keep`` gets the mean about every minute.
    """

    def running_mean(means, values, count) -> None:  # over fewer steps in the beginning, which is soon forgotten so
        torch.optim.swa_utils.get_ema_multi_avg_fn(min(AVERAGE, (1 + int(count)) / (10 + int(count))))(
            means, values, count
        )

    averaged = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=running_mean, use_buffers=True)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.02)
    started, mean, kept = time.perf_counter(), 0.0, 0.0
    for step, batch in enumerate(batches, 1):
        spent = (time.perf_counter() - started) / 60
        done = spent / minutes
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, done / 0.03 + 1e-3) * (0.5 * (1 + math.cos(math.pi * done)) + 1e-3)
        value = batch_loss(*batch)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        averaged.update_parameters(net)
        mean += (value.item() - mean) / min(step, 50)
        if step % 50 == 0:
            print(f"{100 * done:5.1f} %  step {step}  loss {mean:.3f}", flush=True)
        if spent - kept > 1:
            keep(averaged.module)
            kept = spent
    return averaged.module.eval()


def save(net: nn.Module, path: Path) -> None:
    """Half precision, which is as good and half as large."""
    half = {name: v.half() if v.is_floating_point() else v for name, v in net.state_dict().items()}
    write_tensors(path, "mask network", 1, half, {})


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
