"""The training itself: Gaussian likelihoods of points and identity, AdamW with one cycle of the learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fitting.landmarks.network import Guess, LandmarkNet
from tools.train_landmarks.augmentation import Augmentation
from tools.train_landmarks.pictures import Drawn

BATCH, RATE, AVERAGE = 64, 2e-3, 0.999
FLOOR = 1e-3  # of the square: no point is known better


def loss(guess: Guess, points: Tensor) -> Tensor:
    """Negative log-likelihood of points (N, L, 2) in [0, 1], the mean over them."""
    sigma = guess.sigma + FLOOR
    squared = (guess.points - points).square().sum(-1)
    return (squared / (2 * sigma**2) + 2 * sigma.log()).mean()


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


def evaluate(net: LandmarkNet, drawn: Drawn, seed: int = 1) -> dict[str, float]:
    """On pictures that weren't trained on: medians of the points' error and of what it's said to be, of the square."""
    augmentation, errors, sigmas = Augmentation(seed), [], []
    with torch.inference_mode():
        for k in range(0, len(drawn), BATCH):
            x, points = augmentation(drawn.pictures[k : k + BATCH], drawn.points[k : k + BATCH])
            guess = net(x)
            errors.append((guess.points - points).norm(dim=-1))
            sigmas.append(guess.sigma)
    return {"error": float(torch.cat(errors).median()), "sigma": float(torch.cat(sigmas).median())}


def train(folder: Path, minutes: float, start: dict[str, Tensor] | None = None, seed: int = 0) -> LandmarkNet:
    """Trains for so many minutes on the folder's chunks. ``start``: weights to begin with, as far as they are there."""
    torch.manual_seed(seed)
    net = LandmarkNet().to(memory_format=torch.channels_last)
    net.load_state_dict(start or {}, strict=False)
    augmentation = Augmentation(seed)

    def batch_loss(pictures: np.ndarray, points: np.ndarray) -> Tensor:
        x, where = augmentation(pictures, points)
        with torch.autocast("cpu", torch.bfloat16):
            guess = net(x.to(memory_format=torch.channels_last))
        return loss(guess, where)

    return optimize(net, batch_loss, batches(folder, seed), minutes)


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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(
        {name: v.half().contiguous() if v.is_floating_point() else v for name, v in net.state_dict().items()}, partial
    )
    partial.replace(path)
