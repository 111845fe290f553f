"""The state of a training and its step, whatever is trained: networks, optimisers, averages, random numbers.

Deep Video Portraits, UV-GAN and face recognition each subclass `BaseTrainer`; `neural_render.training.run` calls it.
"""

from __future__ import annotations

import contextlib
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from foundation.threads import ThreadChoice, threads, usable_threads


class BaseSettings(Protocol):
    """What every training's settings have; they are a frozen dataclass that JSON can hold."""

    seed: int
    batch: int  # pictures a step, of all processes together
    ema: float  # decay of the averaged networks
    clip: float  # largest norm of a network's gradient; 0 doesn't clip


def order(step: int, batch: int, count: int, seed: int) -> np.ndarray:
    """(batch,) sample indices of a step: all samples shuffled anew each epoch, a function of seed and step alone."""
    positions = np.arange(step * batch, (step + 1) * batch)
    epochs = positions // count
    shuffled = {e: np.random.default_rng([seed, e]).permutation(count) for e in np.unique(epochs)}
    return np.array([shuffled[e][p % count] for e, p in zip(epochs, positions)])


def split_held_out(count: int, share: float, runs: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Indices 0 to count - 1 to train on, and those kept out: the last ``share`` of each of ``runs`` equal runs.

    Whole runs, since neighbouring frames are nearly the same picture. One is left on each side at least.
    """
    runs = max(1, min(runs, int(count * share)))
    held = np.zeros(count, bool)
    for run in np.array_split(np.arange(count), runs):
        held[run[len(run) - max(1, round(len(run) * share)) :]] = share > 0
    if held.all():
        held[:1] = False
    return np.flatnonzero(~held), np.flatnonzero(held)


class BaseTrainer(ABC):
    """Networks, their optimisers, averaged copies, the step and the time spent: what a checkpoint holds.

    A subclass calls ``add`` for each network and gives ``losses``. The next step is a function of this state and the
    data alone, its random numbers coming from (seed, step). So a training that is stopped, saved and loaded goes on,
    on the CPU, to the same bits, on the number of threads that the state says (`threads`). With several processes each
    takes its share of a batch (``share``); the gradients are means over processes, so a loss has to be a mean over
    pictures for a step to be that of one process.
    """

    watched: tuple[str, ...] = ()
    """Losses that don't grow in a healthy training: one that multiplies is taken for divergence."""
    steps_needed: int | None = None
    """Steps that a good result takes; a budget that gave far fewer is noted. None says nothing."""
    average_every: int = 4
    """Steps between two updates of the averaged networks: one moves as much memory as the rest of an update."""

    def __init__(self, settings: BaseSettings, fabric) -> None:
        self.settings, self.fabric, self.device = settings, fabric, fabric.device
        self.step, self.seconds = 0, 0.0
        self.rollbacks = 0  # how often divergence took the training back; each halves the rates
        self.scores: list[list[float]] = []  # [step, held-out score], smaller is better
        self.recent: dict[str, float] = {}  # losses, averaged over about the last 20 steps
        self.threads = ThreadChoice(usable_threads() if self.device.type == "cpu" else 1)
        self.modules: dict[str, nn.Module] = {}
        self.networks: dict[str, nn.Module] = {}  # the same, as Fabric wraps them: to be called in a step
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.averages: dict[str, nn.Module] = {}

    def add(
        self,
        name: str,
        network: nn.Module,
        optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer],
        *,
        averaged: bool = False,
        methods: tuple[str, ...] = (),
    ) -> nn.Module:
        """Takes a network into the training; returns it, on its device.

        averaged: keep an exponential average of its weights too. methods: those that are called in a step beside
        ``forward``.
        """
        network = network.to(self.device, memory_format=torch.channels_last)
        if averaged:
            self.averages[name] = copy.deepcopy(network).requires_grad_(False)
        wrapped, self.optimizers[name] = self.fabric.setup(network, optimizer(network.parameters()))
        for method in methods:
            wrapped.mark_forward_method(method)
        self.modules[name], self.networks[name] = network, wrapped
        return network

    @abstractmethod
    def losses(self) -> dict[str, Tensor]:
        """Does the updates of one step; the losses it had, by name."""

    def rate(self, name: str) -> float:
        """The learning rate of a network at this step; what its optimiser was made with by default."""
        return self.optimizers[name].defaults["lr"]

    def score(self) -> float | None:
        """How wrong pictures that were kept out of the training are, alike in all processes; None without any."""
        return None

    def sheet(self) -> np.ndarray | None:
        """(H, W, 3) uint8 to look at: samples of what has been learnt."""
        return None

    @contextlib.contextmanager
    def random(self, step: int):
        """Random numbers that depend on seed, step, rollbacks and process; the caller's generator stays as it was.

        What is drawn before the first step (below 0), as weights are, is alike in all processes.
        """
        rank = self.fabric.global_rank if step >= 0 else 0
        devices = [self.device] if self.device.type == "cuda" else []
        seed = self.settings.seed * 1_000_003 + step + 1 + 7_777_777 * self.rollbacks
        with torch.random.fork_rng(devices):
            torch.manual_seed((seed + 99_999_989 * rank) % 2**63)
            yield

    def share(self, samples: np.ndarray) -> np.ndarray:
        """This process's share of a batch's samples."""
        return samples[self.fabric.global_rank :: self.fabric.world_size]

    def together(self, values: list[float] | Tensor) -> list[float]:
        """The means of numbers over all processes."""
        if self.fabric.world_size > 1:
            values = self.fabric.all_reduce(torch.as_tensor(values, dtype=torch.float64, device=self.device))
        return values.tolist() if isinstance(values, Tensor) else values

    def advance(self) -> dict[str, float]:
        """One step; its losses by name, means over processes."""
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rate(name) * 0.5**self.rollbacks
        with self.random(self.step):
            losses = self.losses()
        self._average()
        self.step += 1
        return dict(zip(losses, self.together(torch.stack([v.detach().double() for v in losses.values()]))))

    def update(self, name: str, loss: Tensor) -> None:
        """One optimiser's step down a loss's gradient in the network of that name alone."""
        optimizer, network = self.optimizers[name], self.networks[name]
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss, inputs=list(self.modules[name].parameters()))
        if self.settings.clip:
            self.fabric.clip_gradients(network, optimizer, max_norm=self.settings.clip, error_if_nonfinite=False)
        optimizer.step()

    @torch.no_grad()
    def _average(self) -> None:
        if self.step % self.average_every:
            return
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step)) ** self.average_every
        for name, average in self.averages.items():
            torch._foreach_lerp_(list(average.parameters()), list(self.modules[name].parameters()), 1 - decay)
            for kept, current in zip(average.buffers(), self.modules[name].buffers()):
                kept.copy_(current)  # as spectral norm's directions, which go with weights that are nearly these

    def on_threads(self):
        """A context with as many threads as the next step has, for what is computed beside the steps."""
        return threads(self.threads.count(self.step)) if self.device.type == "cpu" else contextlib.nullcontext()

    def finite(self) -> bool:
        """Whether every weight, and what else the networks keep, is a number."""
        return all(bool(t.isfinite().all()) for m in self.modules.values() for t in m.state_dict().values())

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Everything as named tensors, and a JSON header."""
        tensors = {}
        for kind, networks in (("network", self.modules), ("average", self.averages)):
            for name, network in networks.items():
                tensors |= {f"{kind}.{name}.{k}": v for k, v in network.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{name}.{index}.{k}": v for k, v in slots.items() if v is not None}
        facts = {"step": self.step, "seconds": self.seconds, "rollbacks": self.rollbacks, "scores": self.scores}
        facts |= {"losses": dict(self.recent), "threads": self.threads.state()}
        return tensors, {"settings": asdict(self.settings), **facts}

    def load_state(self, tensors: dict[str, Tensor], header: dict) -> None:
        """Takes up where ``state`` was called. KeyError, RuntimeError: tensors are missing or of other shapes."""
        for kind, networks in (("network", self.modules), ("average", self.averages)):
            for name, network in networks.items():
                prefix = f"{kind}.{name}."
                network.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"optimizer.{name}."):
                    index, slot = key.split(".")[2:]
                    # Moments lie in memory as the weights do.
                    layout = torch.channels_last if value.dim() == 4 else torch.contiguous_format
                    slots.setdefault(int(index), {})[slot] = value.contiguous(memory_format=layout)
            optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        self.step, self.seconds = int(header["step"]), float(header["seconds"])
        self.rollbacks, self.scores = int(header["rollbacks"]), [list(s) for s in header["scores"]]
        self.recent = dict(header.get("losses", {}))  # earlier versions had neither
        self.threads.load(header.get("threads", {}))
