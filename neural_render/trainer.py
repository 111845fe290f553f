"""One training step after another: networks, optimisers, the order of the data, and all of it as tensors."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from facemodel.errors import PortraitError

from .conditioning import CHANNELS, EYES, FACE, WINDOW, condition, to_network
from .losses import adversarial, l1
from .networks import PatchDiscriminator, RefinementUNet

AVERAGE_EVERY = 4
"""Steps between two updates of the averaged generator."""


class Samples(Protocol):
    """Training data: ``batch`` gives windows of maps (N, window, S, S, 9) and images (N, S, S, 3), uint8."""

    def __len__(self) -> int: ...

    def batch(self, samples: np.ndarray, window: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of training steps, but for the data."""

    size: int = 128  # px of the network's images
    width: int = 32  # channels of the first layer; the paper's network has 64
    window: int = WINDOW  # frames a condition
    batch: int = 2  # small: on one clip more steps go further than larger ones
    rate: float = 2e-4  # Adam's
    boost: float = 5.0  # the generator's rate begins so many times higher and halves its excess every
    boost_steps: int = 1000  # steps
    beta1: float = 0.5
    beta2: float = 0.999
    l1_weight: float = 100.0
    face_weight: float = 2.0  # how much more than elsewhere L1 counts where the model is drawn
    eye_weight: float = 4.0  # and, beyond that, where its eyes are
    adversarial: str = "non-saturating"
    adversarial_weight: float = 1.0
    adversarial_after: int = 100  # steps of L1 alone at the start
    ema: float = 0.999  # decay of the averaged generator, which is the one that is kept
    norm: str = "batch"
    dropout: float = 0.5
    background: bool = True  # a learned image beneath the network's output, begun as the clip's median
    bfloat16: bool = False
    seed: int = 0


def bfloat16_helps(device: str) -> bool:
    """Whether autocast to bfloat16 is faster there: CUDA, or a CPU with AVX-512 or AMX bfloat16 instructions."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def order(step: int, batch: int, count: int, seed: int) -> np.ndarray:
    """(batch,) sample indices of a step: the clip shuffled anew each epoch, a function of seed and step alone."""
    positions = np.arange(step * batch, (step + 1) * batch)
    epochs = positions // count
    shuffled = {e: np.random.default_rng([seed, e]).permutation(count) for e in np.unique(epochs)}
    return np.array([shuffled[e][p % count] for e, p in zip(epochs, positions)])


def median_image(samples: Samples, count: int = 48) -> Tensor:
    """(3, S, S) in [-1, 1]: each pixel's median over up to ``count`` evenly spread images."""
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(np.int64)
    images = torch.stack([samples.batch(chosen[k : k + 1], 1)[1][0] for k in range(len(chosen))])
    return to_network(images.median(0, keepdim=True).values)[0]


class Trainer:
    """The state of a training: two networks, their optimisers, the averaged generator, step and time.

    The next step is a function of this state and the data alone: its random numbers come from (seed, step). So a
    training that is stopped, saved and loaded goes on, on the CPU, to the same bits.
    """

    def __init__(self, settings: Settings, samples: Samples, device: str = "cpu") -> None:
        self.settings, self.samples, self.device = settings, samples, torch.device(device)
        self.step, self.seconds = 0, 0.0
        s, inputs = settings, settings.window * CHANNELS
        with self._random(-1):
            generator = RefinementUNet(inputs, s.size, s.width, norm=s.norm, dropout=s.dropout, background=s.background)
            generator.start_from(median_image(samples))
            discriminator = PatchDiscriminator(inputs, 3, s.width, norm=s.norm)
        place = {"device": self.device, "memory_format": torch.channels_last}
        self.generator, self.discriminator = generator.to(**place), discriminator.to(**place)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.loss = adversarial(s.adversarial)
        adam = {"lr": s.rate, "betas": (s.beta1, s.beta2), "fused": True}
        self.optimizers = {
            "generator": torch.optim.Adam(self.generator.parameters(), **adam),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), **adam),
        }

    @contextlib.contextmanager
    def _random(self, step: int):
        """Random numbers that depend on seed and step; the caller's generator is left as it was."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed((self.settings.seed * 1_000_003 + step + 1) % 2**63)
            yield

    def advance(self) -> dict[str, float]:
        """One step; returns its losses by name."""
        s = self.settings
        maps, images = self.samples.batch(
            order(self.step, min(s.batch, len(self.samples)), len(self.samples), s.seed), s.window
        )
        x, y = self._condition(maps), to_network(images.to(self.device))
        self.generator.train()
        excess = (s.boost - 1) * 0.5 ** (self.step / s.boost_steps)
        self.optimizers["generator"].param_groups[0]["lr"] = s.rate * (1 + excess)
        losses: dict[str, Tensor] = {}
        with self._random(self.step):
            with self._autocast():
                fake = self.generator(x).float()
            losses["l1"] = l1(fake, y, self._weight(maps))
            objective = s.l1_weight * losses["l1"]
            if self.step >= s.adversarial_after and s.adversarial_weight > 0:
                direction = self._adversarial(x, fake.detach(), y, losses)
                objective = objective + s.adversarial_weight * (fake * direction).sum()
            self._update("generator", objective)
        self._average()
        self.step += 1
        values = {k: float(v.detach()) for k, v in losses.items()}
        if not all(np.isfinite(v) for v in values.values()):
            raise PortraitError(f"training diverged at step {self.step} ({values}); lower the rate or change the seed")
        return values

    def _adversarial(self, x: Tensor, fake: Tensor, real: Tensor, losses: dict[str, Tensor]) -> Tensor:
        """Trains the discriminator; returns the gradient of the generator's adversarial loss in ``fake``.

        Both losses are taken at the same discriminator, so one pass over the synthesised image serves both.
        """
        fake = fake.requires_grad_()
        with self._autocast():
            embedded = self.discriminator.embed(x)
            on_fake, on_real = self.discriminator(embedded, fake), self.discriminator(embedded, real)
        losses["adversarial"] = self.loss.generator(on_fake)
        losses["discriminator"] = self.loss.discriminator(on_real, on_fake)
        (direction,) = torch.autograd.grad(losses["adversarial"], fake, retain_graph=True)
        self._update("discriminator", losses["discriminator"])
        return direction

    def _weight(self, maps: Tensor) -> Tensor | None:
        """(N, 1, S, S): how much L1 counts at each pixel; None for everywhere the same."""
        s = self.settings
        if s.face_weight == s.eye_weight == 0:
            return None
        face, eyes = (maps[:, -1, ..., part].amax(-1).to(self.device) > 0 for part in (FACE, EYES))
        return (1 + s.face_weight * face + s.eye_weight * eyes)[:, None]

    def _condition(self, maps: Tensor) -> Tensor:
        return condition(maps.to(self.device), torch.bfloat16 if self.settings.bfloat16 else torch.float32)

    def _autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16)

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer: torch.optim.Optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(getattr(self, name).parameters()))
        optimizer.step()

    @torch.no_grad()
    def _average(self) -> None:
        """Every few steps, as it moves as much memory as the rest of an update."""
        if self.step % AVERAGE_EVERY:
            return
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step)) ** AVERAGE_EVERY
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - decay)

    @torch.no_grad()
    def final_generator(self, batches: int = 24) -> nn.Module:
        """A copy of the averaged generator whose batch normalisation knows the averaged weights' statistics."""
        net = copy.deepcopy(self.average)
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        if norms:
            for m in norms:
                m.reset_running_stats()
                m.momentum = None  # cumulative mean
            net.eval()
            for m in norms:
                m.train()
            size, count = min(max(self.settings.batch, 4), len(self.samples)), len(self.samples)
            with self._autocast():
                for k in range(min(batches, -(-count // size))):
                    maps, _ = self.samples.batch(order(k, size, count, self.settings.seed), self.settings.window)
                    net(self._condition(maps))
            for m in norms:
                m.momentum = 0.1
        return net.eval()

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Everything as named tensors, and a JSON header."""
        tensors = {}
        for name in ("generator", "discriminator", "average"):
            tensors |= {f"{name}.{k}": v for k, v in getattr(self, name).state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"adam.{name}.{index}.{k}": v for k, v in slots.items()}
        return tensors, {"settings": asdict(self.settings), "step": self.step, "seconds": self.seconds}

    def load_state(self, tensors: dict[str, Tensor], header: dict) -> None:
        """Takes up where ``state`` was called. KeyError, RuntimeError: tensors are missing or of other shapes."""
        for name in ("generator", "discriminator", "average"):
            own = {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}
            getattr(self, name).load_state_dict(own)
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"adam.{name}."):
                    index, slot = key.split(".")[2:]
                    # Adam's moments lie in memory as the weights do.
                    layout = torch.channels_last if value.dim() == 4 else torch.contiguous_format
                    slots.setdefault(int(index), {})[slot] = value.contiguous(memory_format=layout)
            optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        self.step, self.seconds = int(header["step"]), float(header["seconds"])
