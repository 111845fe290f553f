"""Trains an embedder: a folder of faces and an experiment go in, weights come out, one training a seed.

Steps, checkpoints, logs and several processes are `neural_render.training`'s; here is what a step is. The command
``portrait recognize train`` and `benchmarks.recognition` call it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.training import BaseTrainer, RunPolicy, resume, run
from recognition.dream import Dream, stitch
from recognition.folder import FaceFolder, read_folder
from recognition.model import EmbeddingObjective, embed_files, save_embedder
from recognition.pictures import Pictures, unreadable
from recognition.sampling import Batches
from recognition.settings import Experiment, TrainingSettings


@dataclass(frozen=True)
class TrainingData:
    """The pictures that are trained on, and those that couldn't be read."""

    folder: FaceFolder
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What a training of one seed did; earlier runs of it included."""

    weights: Path
    steps: int
    resumed_at: int
    seconds: float
    losses: dict[str, float]  # averaged over about the last 20 steps
    rollbacks: int = 0  # how often this run diverged and went back to its checkpoint


def training_data(experiment: Experiment, report: Report = ignore) -> TrainingData:
    """Lists the data set and reads every picture once: what can't be decoded is left out, by name."""
    settings = experiment.data
    folder = read_folder(experiment.path(settings.folder)).of_split(settings.split)
    bad = unreadable(folder.paths, report)
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


@dataclass(frozen=True)
class StepSettings:
    """`neural_render.training.base.BaseSettings` of an experiment; the rest of it is in `identity`."""

    seed: int
    batch: int
    ema: float = 0.0
    clip: float = 0.0


class Trainer(BaseTrainer):
    """An embedder with its head and losses, by stochastic gradient descent with momentum."""

    def __init__(self, experiment: Experiment, folder: FaceFolder, seed: int, fabric) -> None:
        super().__init__(StepSettings(seed, experiment.training.batch), fabric)
        self.experiment, self.folder = experiment, folder
        with self.random(-1):
            objective = EmbeddingObjective(experiment.model, experiment.loss, len(folder.identities))
        self.objective = self.add("objective", objective, lambda _: self._descent(objective))
        self._batches: Iterator = iter(())
        self._next = -1  # the step that they are at

    def _descent(self, objective: EmbeddingObjective) -> torch.optim.Optimizer:
        s = self.experiment.training
        return torch.optim.SGD(parameter_groups(objective, s.decay), lr=s.rate, momentum=s.momentum)

    def rate(self, name: str) -> float:
        return learning_rate(self.experiment.training, self.step)

    def losses(self) -> dict[str, Tensor]:
        if self._next != self.step:  # at the start, and where a training goes back
            self._batches = iter(self._loader())
        pictures, labels, yaw = self.fabric.to_device(next(self._batches))
        self._next = self.step + 1
        self.objective.train()
        losses = self.networks["objective"](pictures, labels, yaw)
        self.update("objective", losses["loss"])
        return losses

    def _loader(self) -> DataLoader:
        """The rest of the training's batches, this process's share."""
        model, settings, folder = self.experiment.model, self.experiment.training, self.folder
        world = self.fabric.world_size
        pictures = Pictures(folder.paths, folder.labels, folder.yaw, model.height, model.width_px)
        sampler = Batches(
            folder.labels, settings.batch // world, self.step, settings.iterations, self.settings.seed,
            self.experiment.data.balanced, self.fabric.global_rank, world,
        )  # fmt: skip
        return DataLoader(
            pictures, batch_sampler=sampler, num_workers=settings.workers, pin_memory=self.device.type == "cuda",
            worker_init_fn=lambda _: cv2.setNumThreads(0),
            generator=torch.Generator(),  # else it would take a number from the step's own
        )  # fmt: skip

    def identity(self) -> dict:
        """What a checkpoint has to agree with beside seed and batch."""
        names = "\n".join(self.folder.identities).encode()
        sections = self.experiment.identity().values()
        return {k: v for section in sections for k, v in section.items()} | {
            "identities": len(self.folder.identities),
            "names": hashlib.sha256(names).hexdigest()[:16],
        }


def train(
    fabric, experiment: Experiment, data: TrainingData, output: Path, seed: int, report: Report = ignore
) -> Trained:
    """Trains one seed into the folder ``output``: weights, checkpoint, log.csv. Goes on from a checkpoint there.

    fabric: of `neural_render.training.make_fabric`.
    """
    settings, trainer = experiment.training, Trainer(experiment, data.folder, seed, fabric)
    checkpoint, identity = output / "checkpoint.safetensors", trainer.identity()
    resume(trainer, checkpoint, identity)
    resumed_at = trainer.step
    done = run(
        trainer, checkpoint, steps=settings.iterations, identity=identity, report=report, logs=output,
        policy=RunPolicy(save_steps=settings.checkpoint_every),
    )  # fmt: skip
    weights = output / "weights.safetensors"
    if fabric.is_global_zero:
        _write_weights(trainer, weights, report)
    fabric.barrier()
    return Trained(weights, done.steps, resumed_at, trainer.seconds, done.losses, done.rollbacks)


def parameter_groups(objective: nn.Module, decay: float) -> list[dict]:
    """Weight decay for matrices and filters only: not for biases, PReLU's slopes and the ring's radius."""
    groups = {True: [], False: []}
    for parameter in objective.parameters():
        groups[parameter.ndim > 1].append(parameter)
    return [{"params": groups[True], "weight_decay": decay}, {"params": groups[False], "weight_decay": 0.0}]


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The rate of a step, a tenth after each drop."""
    return settings.rate * 0.1 ** sum(step >= drop for drop in settings.drops)


def _write_weights(trainer: Trainer, path: Path, report: Report) -> None:
    """The weights, with the stitched block where the settings want it."""
    experiment, folder, embedder = trainer.experiment, trainer.folder, trainer.objective.embedder.eval()
    seed = trainer.settings.seed
    facts = {"seed": seed, "steps": trainer.step, "settings": experiment.identity()}
    facts["identities"] = list(folder.identities)  # so that a test can say whom it shares with the training
    if embedder.settings.dream == "stitched":
        embedded = embed_files(embedder, folder.paths, mirror=False, report=report, stage="embedding for DREAM")
        fine = ~np.isnan(embedded.features[:, 0])
        features = torch.as_tensor(embedded.features[fine], device=trainer.device)
        with trainer.random(-2):
            embedder.dream = Dream(embedder.settings.features).to(trainer.device)
        facts["dream_error"] = stitch(
            embedder.dream, features, folder.labels[fine], folder.yaw[fine],
            iterations=experiment.training.dream_iterations, seed=seed,
        )  # fmt: skip
    save_embedder(path, embedder, facts)
