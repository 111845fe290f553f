"""A method of reenactment that knows no face model: a person's mean picture, lit as the driver's pictures are.

It learns from many people's clips how pictures change with their brightness, through the one training stack, and is in
no file but this one: `METHODS.add` makes the commands know it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from foundation.errors import PortraitError
from foundation.progress import Report, counted, ignore
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.methods.base import METHODS, Method, Needs, TrainingBudget, TrainingSummary, option
from neural_render.methods.clip import Clip
from neural_render.methods.weights import Weights, WeightsHeader, save_weights
from neural_render.training import BaseTrainer, make_fabric, order, resume, run

MOST = 64  # frames of a clip that are looked at


@dataclass(frozen=True)
class Options(TrainingBudget):
    size: int = option(32, "px of the pictures that are learnt from")
    gain: float = option(1.0, "how much more the result brightens than the driver does")


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    gain: float
    people: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """What `BaseTrainer` asks for."""

    seed: int = 0
    batch: int = 8
    ema: float = 0.9
    clip: float = 0.0
    rate: float = 0.02


class Relight(nn.Module):
    """A mean picture (N, 3, H, W) in [-1, 1] and a brightness (N,) to a picture like it."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(4, 3, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, mean: Tensor, brightness: Tensor) -> Tensor:
        light = brightness[:, None, None, None].expand(-1, 1, *mean.shape[2:])
        return mean + self.mix(torch.cat([mean, light], 1))


def small(clip: Clip, size: int) -> Tensor:
    """(N, 3, size, size) in [-1, 1]: the clip's first frames."""
    pictures = []
    for index, _time, rgb in clip.frames:
        if index == MOST:
            break
        pictures.append(cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA))
    return torch.from_numpy(np.stack(pictures)).movedim(-1, 1).float() / 127.5 - 1


class ToyTrainer(BaseTrainer):
    watched = ("l1",)

    def __init__(self, settings: Settings, pictures: Tensor, means: Tensor, people: Tensor, fabric) -> None:
        super().__init__(settings, fabric)
        self.pictures, self.means, self.people = pictures, means, people
        self.objective = Objective({"l1": 1.0}, {}, self.device)
        with self.random(-1):
            network = Relight()
        self.add("relight", network, lambda p: torch.optim.Adam(p, settings.rate), averaged=True)

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        chosen = self.share(order(self.step, s.batch, len(self.pictures), s.seed))
        real = self.pictures[chosen].to(self.device)
        mean = self.means[self.people[chosen]].to(self.device)
        made = self.networks["relight"](mean, real.mean((1, 2, 3)) - mean.mean((1, 2, 3)))
        total, values = self.objective(Context(made, real))
        self.update("relight", total)
        return values


class ToyMethod(Method):
    name = "toy-brightness"
    title = "Brightness of a mean picture"
    training = Needs(several=True)
    target = Needs()
    driver = Needs()
    Options = Options
    Header = Header

    def train(
        self,
        clips: Sequence[Clip],
        out: str | os.PathLike,
        options: Options,
        *,
        work: str | os.PathLike | None = None,
        report: Report = ignore,
    ) -> TrainingSummary:
        self.training.check(clips, "training")
        if options.size < 8:
            raise PortraitError(f"size: expected at least 8, got {options.size}")
        out = Path(out)
        work = Path(work) if work is not None else out.with_name(out.name + ".work")
        names = tuple(dict.fromkeys(clip.person for clip in clips))
        pictures = [small(clip, options.size) for clip in counted(clips, report, "reading", len(clips), "clips")]
        people = torch.tensor([names.index(c.person) for c, p in zip(clips, pictures) for _ in p])
        pictures = torch.cat(pictures)
        means = torch.stack([pictures[people == k].mean(0) for k in range(len(names))])
        settings = Settings(seed=options.seed, batch=options.batch or Settings.batch)
        trainer = ToyTrainer(settings, pictures, means, people, make_fabric(options.device))
        identity = {"size": options.size, "clips": [dict(clip.source) for clip in clips]}
        resume(trainer, work / "checkpoint.safetensors", identity)
        begun = trainer.step
        done = run(
            trainer, work / "checkpoint.safetensors", seconds=options.minutes * 60, steps=options.steps,
            identity=identity, report=report,
        )  # fmt: skip
        header = Header(
            method=self.name, steps=trainer.step, seconds=trainer.seconds,
            sources=tuple(dict(clip.source) for clip in clips), size=options.size, gain=options.gain, people=names,
        )  # fmt: skip
        if trainer.fabric.is_global_zero:
            save_weights(out, header, trainer.averages["relight"].state_dict())
        return TrainingSummary(out, done.steps, trainer.seconds, len(pictures), 0, begun, done.losses)

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        live = self.live(weights, target, device=device)
        return (live(picture=rgb) for _, _, rgb in driver.frames)

    def live(self, weights: Weights, target: Clip, *, device: str = "cpu") -> ToyLive:
        return ToyLive(weights, target, device)


class ToyLive:
    """Counts the driver's brightness from its first picture."""

    def __init__(self, weights: Weights, target: Clip, device: str) -> None:
        self.size, self.device, self.gain = (target.width, target.height), device, weights.header.gain
        self.network = Relight().to(device)
        self.network.load_state_dict(weights.tensors)
        self.mean = small(target, weights.header.size).mean(0, keepdim=True).to(device)
        self.restart()

    def restart(self) -> None:
        self.first: float | None = None

    def __call__(self, parameters=None, picture: np.ndarray | None = None) -> np.ndarray:
        brightness = float(picture.mean()) / 127.5 - 1
        self.first = brightness if self.first is None else self.first
        with torch.inference_mode():
            made = self.network(self.mean, torch.tensor([self.gain * (brightness - self.first)], device=self.device))
        made = ((made[0].movedim(0, -1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return cv2.resize(made, self.size, interpolation=cv2.INTER_CUBIC)


def register() -> str:
    """Makes the method known; its name."""
    METHODS.add(ToyMethod.name, ToyMethod)
    return ToyMethod.name
