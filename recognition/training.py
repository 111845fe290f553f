"""The training loop, on Lightning Fabric: one device or several, mixed precision, going on after a stop.

A step is a pure function of seed, step and state, so that a stopped and resumed training gives what one in one piece
gives (with "16-mixed" all but the gradient scale, which begins anew).
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from foundation.errors import PortraitError
from recognition.checkpoint import Run, check_finite, load_checkpoint, not_finite, save_checkpoint
from recognition.dream import Dream, stitch
from recognition.files import write_text
from recognition.folder import FaceFolder, read_folder
from recognition.model import Objective, embed_files, save_embedder
from recognition.pictures import Pictures, unreadable
from recognition.sampling import Batches
from recognition.settings import Experiment, TrainingSettings

LOG_EVERY = 20  # steps between two rows of log.csv
Progress = Callable[[float, float, str, str], None]  # done, of, what, note


@dataclass(frozen=True)
class TrainingData:
    """The pictures that are trained on, and those that couldn't be read."""

    folder: FaceFolder
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    weights: Path
    steps: int
    resumed_at: int
    seconds: float
    losses: dict[str, float]  # of the last row of the log


def training_data(experiment: Experiment, progress: Progress | None = None) -> TrainingData:
    """Lists the data set and reads every picture once: what can't be decoded is left out, by name."""
    settings = experiment.data
    folder = read_folder(experiment.path(settings.folder)).of_split(settings.split)
    tell = None if progress is None else (lambda done, total: progress(done, total, "checking pictures", ""))
    bad = unreadable(folder.paths, tell)
    skipped = tuple(folder.files[k] for k in bad)
    keep = np.ones(len(folder), bool)
    keep[bad] = False
    folder = folder.where(keep).at_least(settings.min_pictures)
    if len(folder.identities) < 2:
        raise PortraitError(f"data '{folder.root}': one identity is left; a classifier needs two or more")
    if experiment.model.dream != "none" and np.isnan(folder.yaw).any():
        raise PortraitError(
            f"data '{folder.root}': {int(np.isnan(folder.yaw).sum())} of {len(folder)} pictures have no yaw in "
            "metadata.csv, which DREAM needs; add it in degrees, or use dream = 'none'"
        )
    return TrainingData(folder, skipped)


def make_fabric(settings: TrainingSettings, device: str) -> Fabric:
    """device: "cpu", "cuda" or "cuda:1"; several processes where the settings ask for several devices."""
    kind, _, index = device.partition(":")
    strategy = "ddp" if settings.devices > 1 else "auto"
    devices = [int(index)] if index and settings.devices == 1 else settings.devices
    return Fabric(accelerator=kind, devices=devices, precision=settings.precision, strategy=strategy)


def train(
    fabric: Fabric, experiment: Experiment, data: TrainingData, output: Path, seed: int,
    progress: Progress | None = None,
) -> Trained:  # fmt: skip
    """Trains one seed into the folder ``output``: weights, checkpoint, log.csv. Goes on from a checkpoint there."""
    began, settings, run = time.monotonic(), experiment.training, Run(experiment, data.folder, seed)
    torch.manual_seed(seed)
    objective = Objective(experiment.model, experiment.loss, len(data.folder.identities))
    optimizer = torch.optim.SGD(
        parameter_groups(objective, settings.decay), lr=settings.rate, momentum=settings.momentum
    )
    model, wrapped = fabric.setup(objective, optimizer)
    path = output / "checkpoint.safetensors"
    first = load_checkpoint(path, run, objective, optimizer)
    log = Log(output / "log.csv", first)
    model.train()
    parts: dict[str, float] = {}
    for step, (pictures, labels, yaw) in enumerate(_batches(fabric, run, first), first):
        torch.manual_seed((seed * 1_000_003 + step) * fabric.world_size + fabric.global_rank)  # dropout
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        losses = model(pictures, labels, yaw)
        wrapped.zero_grad()
        fabric.backward(losses["loss"])
        wrapped.step()
        done = step + 1
        if done % LOG_EVERY == 0 or done == settings.iterations:
            parts = {k: float(fabric.all_reduce(v.detach())) for k, v in losses.items()}  # means over processes
            if not np.isfinite(parts["loss"]):
                raise not_finite(path, done)
            log.add({"step": done, "rate": learning_rate(settings, step), **parts})
            if progress is not None:
                progress(done, settings.iterations, f"seed {seed}", f"loss {parts['loss']:.3f}")
        if done % settings.checkpoint_every == 0 or done == settings.iterations:
            check_finite(path, objective, done)  # in all processes, so that none is left waiting
            if fabric.is_global_zero:
                save_checkpoint(path, run, objective, optimizer, done)
                log.write()
    steps = max(first, settings.iterations)  # a checkpoint may be further than the settings now ask for
    if fabric.is_global_zero:
        _finish(run, objective, steps, output, progress)
    fabric.barrier()
    weights = output / "weights.safetensors"
    return Trained(weights, steps, first, time.monotonic() - began, parts or log.last())


def parameter_groups(objective: nn.Module, decay: float) -> list[dict]:
    """Weight decay for matrices and filters only: not for biases, PReLU's slopes and the ring's radius."""
    groups = {True: [], False: []}
    for parameter in objective.parameters():
        groups[parameter.ndim > 1].append(parameter)
    return [{"params": groups[True], "weight_decay": decay}, {"params": groups[False], "weight_decay": 0.0}]


def learning_rate(settings: TrainingSettings, step: int) -> float:
    return settings.rate * 0.1 ** sum(step >= drop for drop in settings.drops)


def _batches(fabric: Fabric, run: Run, first: int):
    """The rest of the training's batches, on this process's device."""
    model, settings, folder = run.experiment.model, run.experiment.training, run.folder
    pictures = Pictures(folder.paths, folder.labels, folder.yaw, model.height, model.width_px)
    sampler = Batches(
        folder.labels, settings.batch // fabric.world_size, first, max(first, settings.iterations), run.seed,
        run.experiment.data.balanced, fabric.global_rank, fabric.world_size,
    )  # fmt: skip
    loader = DataLoader(
        pictures, batch_sampler=sampler, num_workers=settings.workers, pin_memory=fabric.device.type == "cuda",
        worker_init_fn=lambda _: cv2.setNumThreads(0),
    )  # fmt: skip
    return (fabric.to_device(batch) for batch in loader)


def _finish(run: Run, objective: Objective, steps: int, output: Path, progress: Progress | None) -> None:
    """The stitched block where the settings want it, and the weights."""
    settings, folder, embedder = run.experiment.training, run.folder, objective.embedder.eval()
    facts = {"seed": run.seed, "steps": steps, "settings": run.experiment.identity()}
    if embedder.settings.dream == "stitched":
        tell = None if progress is None else (lambda done, total: progress(done, total, "embedding for DREAM", ""))
        embedded = embed_files(embedder, folder.paths, mirror=False, progress=tell).features
        fine = ~np.isnan(embedded[:, 0])
        torch.manual_seed(run.seed)
        device = next(embedder.parameters()).device
        block = Dream(embedder.settings.features).to(device)
        facts["dream_error"] = stitch(
            block, torch.as_tensor(embedded[fine], device=device), folder.labels[fine], folder.yaw[fine],
            iterations=settings.dream_iterations, seed=run.seed,
        )  # fmt: skip
        embedder.dream = block
    save_embedder(output / "weights.safetensors", embedder, facts)


class Log:
    """log.csv: a row every so many steps, written after each checkpoint; a resumed training adds to it."""

    def __init__(self, path: Path, first: int):
        self.path, self.rows = path, []
        if first and path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def add(self, row: dict) -> None:
        self.rows.append(row)

    def last(self) -> dict[str, float]:
        return {k: float(v) for k, v in self.rows[-1].items() if k not in ("step", "rate")} if self.rows else {}

    def write(self) -> None:
        if not self.rows:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
