"""Deep Video Portraits' training step: networks, losses and the data they see."""

from __future__ import annotations

import copy
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from foundation.errors import PortraitError
from neural_render.losses.adversarial import adversarial
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.losses.terms import l1
from neural_render.methods.deep_video_portraits.augmentation import jitter
from neural_render.methods.deep_video_portraits.conditioning import (
    CHANNELS,
    EYES,
    FACE,
    condition,
    inputs,
    to_network,
    to_pixels,
)
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.networks import PatchDiscriminator, RefinementUNet
from neural_render.networks.norms import gathering_statistics
from neural_render.training import BaseTrainer, make_fabric, order, split_held_out


class Samples(Protocol):
    """Training data: ``batch`` gives windows of maps (N, window, S, S, 9) and images (N, S, S, 3), uint8."""

    def __len__(self) -> int: ...

    def batch(self, samples: np.ndarray, window: int) -> tuple[Tensor, Tensor]: ...


class MadeSamples(Samples, Protocol):
    """Training data made from other samples, so that what is held out of those can be left out here."""

    made_from: np.ndarray  # (N,) indices of those


def evenly(indices: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` of the indices, evenly spread."""
    return indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(np.int64)]


def median_image(samples: Samples, chosen: np.ndarray) -> Tensor:
    """(3, S, S) in [-1, 1]: each pixel's median over up to 48 evenly spread images."""
    images = torch.stack([samples.batch(np.array([k]), 1)[1][0] for k in evenly(chosen, 48)])
    return to_network(images.median(0, keepdim=True).values)[0]


def _within(face: Tensor, boxes: Tensor) -> Tensor:
    """(N, H, W) bool: where correspondence maps (N, 3, H, W) in [-1, 1] have a colour in a box (boxes, 2, 3)."""
    low, high = (2 * boxes - 1).unbind(1)
    at = face[:, None]
    return ((at >= low[..., None, None]) & (at <= high[..., None, None])).all(2).any(1)


class Trainer(BaseTrainer):
    """A Deep Video Portraits generator and its discriminator on one clip (Kim et al., SIGGRAPH 2018, Sec. 5).

    mouth, eyes: (boxes, 2, 3) in [0, 1], the least and greatest correspondence colours of the mouth's parts, needed for
    ``mouth_weight``, and of what is around the eyes, without which ``eye_weight`` counts for eyeballs alone.
    warped: samples that are no real pictures, see ``Settings.warped_every``.
    """

    watched = ("l1",)
    steps_needed = 4800  # twice as many help little on frames it hasn't seen: docs/neural-rendering.md
    scored = 32  # held-out frames, evenly spread, that a score looks at
    shown = 6  # columns of a sheet of samples

    def __init__(
        self,
        settings: Settings,
        samples: Samples,
        device: str = "cpu",
        *,
        mouth: Tensor | None = None,
        eyes: Tensor | None = None,
        warped: MadeSamples | None = None,
        fabric=None,
    ) -> None:
        super().__init__(settings, fabric or make_fabric(device, bfloat16=settings.bfloat16))
        s = settings
        self._check(mouth)
        self.samples, self.warped = samples, warped
        self.mouth, self.eyes = (None if boxes is None else boxes.to(self.device) for boxes in (mouth, eyes))
        self.objective = Objective(s.losses, s.loss_options, self.device, given=("weight", "on_made", "on_real"))
        self.adversarial = adversarial(s.adversarial)
        self.discriminated = self.objective.needing("on_made")
        self.direct = [name for name in self.objective.terms if name not in self.discriminated]
        self.trained_on, self.held_out = split_held_out(len(samples), s.held_out)
        if warped is not None:
            self.warped_on = np.flatnonzero(np.isin(warped.made_from, self.trained_on))
        channels = inputs(s.window, s.textured)
        with self.random(-1):
            generator = RefinementUNet(
                channels, s.size, s.width, norm=s.norm, dropout=s.dropout, background=s.background, beneath=s.textured
            )
            generator.start_from(median_image(samples, self.trained_on))
            discriminator = PatchDiscriminator(channels, 3, s.width, norm=s.norm)
        self.generator = self.add("generator", generator, self._adam, averaged=True)
        self.discriminator = self.add("discriminator", discriminator, self._adam, methods=("compare",))

    def _check(self, mouth: Tensor | None) -> None:
        s, processes = self.settings, self.fabric.world_size
        if s.batch % processes:
            raise PortraitError(f"batch: expected a multiple of the {processes} processes, got {s.batch}")
        if s.background and (s.shift or s.scale):
            raise PortraitError("shift and scale: expected background=False with them, as a background has its place")
        if not 0 <= s.held_out < 1:
            raise PortraitError(f"held_out: expected a share of the frames from 0 to under 1, got {s.held_out}")
        if s.mouth_weight and mouth is None:
            raise PortraitError("mouth_weight: expected the mouth's correspondence colours with it, got none")

    def _adam(self, parameters) -> torch.optim.Optimizer:
        s = self.settings
        return torch.optim.Adam(parameters, lr=s.rate, betas=(s.beta1, s.beta2), fused=True)

    def rate(self, name: str) -> float:
        s = self.settings
        return s.rate * (1 + (s.boost - 1) * 0.5 ** (self.step / s.boost_steps) * (name == "generator"))

    def pictures(self, chosen: np.ndarray, samples: Samples | None = None) -> tuple[Tensor, Tensor]:
        """Condition (N, window * 9, S, S) and image (N, 3, S, S) of samples, by default the clip's, in [-1, 1]."""
        maps, images = (samples or self.samples).batch(chosen, self.settings.window)
        dtype = torch.bfloat16 if self.settings.bfloat16 else torch.float32
        return condition(maps.to(self.device), dtype), to_network(images.to(self.device))

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        warped = self.warped is not None and s.warped_every > 0 and self.step % s.warped_every == s.warped_every - 1
        samples, among = (self.warped, self.warped_on) if warped else (self.samples, self.trained_on)
        x, y = self.pictures(among[self.share(order(self.step, s.batch, len(among), s.seed))], samples)
        if s.shift or s.scale:
            x, y = jitter(x, y, shift=s.shift, scale=s.scale)
        self.generator.train()
        fake = self.networks["generator"](x).float()
        total, values = self.objective(Context(fake, y, {"weight": self.weight(x)}), self.direct)
        if self.discriminated and self.step >= s.adversarial_after and not warped:
            direction, others = self._discriminate(x, fake.detach(), y)
            total, values = total + (fake * direction).sum(), {**values, **others}
        self.update("generator", total)
        return values

    def _discriminate(self, x: Tensor, fake: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Trains the discriminator; the gradient in ``fake`` of the losses that look at it, and the losses.

        All are taken at the same discriminator, so one pass over the synthesised image serves them.
        """
        fake = fake.requires_grad_()
        with self.fabric.autocast():
            on_fake, on_real = self.networks["discriminator"].compare(x, fake, real)
        context = Context(fake, real, {"on_made": on_fake, "on_real": on_real})
        total, values = self.objective(context, self.discriminated)
        self.fabric.backward(total, inputs=[fake], retain_graph=True)
        values["discriminator"] = self.adversarial.discriminator(on_real[-1], on_fake[-1])
        self.update("discriminator", values["discriminator"])
        return fake.grad, values

    def weight(self, x: Tensor) -> Tensor | None:
        """(N, 1, S, S): how much L1 counts at each pixel under a condition; None for everywhere the same."""
        s = self.settings
        if s.face_weight == s.eye_weight == s.mouth_weight == 0:
            return None
        face, eyes = (x[:, -CHANNELS:][:, part] for part in (FACE, EYES))
        on_eyes = eyes.amax(1) > -1
        if self.eyes is not None:
            on_eyes = on_eyes | _within(face, self.eyes)
        weight = 1 + s.face_weight * (face.amax(1) > -1) + s.eye_weight * on_eyes
        if s.mouth_weight:
            weight = weight + s.mouth_weight * _within(face, self.mouth)
        return weight[:, None]

    @torch.no_grad()
    def final_generator(self, batches: int = 24) -> nn.Module:
        """A copy of the averaged generator whose batch normalisation knows the averaged weights' statistics."""
        net = copy.deepcopy(self.averages["generator"]).eval()
        if any(isinstance(m, nn.BatchNorm2d) for m in net.modules()):
            count, world = len(self.trained_on), self.fabric.world_size
            size = min(max(self.settings.batch, -(-4 // world) * world), count // world * world or world)
            with gathering_statistics(net), self.fabric.autocast():
                for k in range(min(batches, -(-count // size))):
                    chosen = self.share(order(k, size, count, self.settings.seed))
                    net(self.pictures(self.trained_on[chosen])[0])
        return net

    @torch.no_grad()
    def score(self) -> float | None:
        """Mean L1, of a range of 2, of the averaged generator on the frames kept out."""
        if len(self.held_out) == 0:
            return None
        net, chosen, total = self.final_generator(8), evenly(self.held_out, self.scored), 0.0
        for k in chosen:
            x, y = self.pictures(np.array([k]))
            with self.fabric.autocast():
                total += float(l1(net(x), y))
        return total / len(chosen)

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: diffuse map, what the averaged generator makes of it, the real frame; held-out frames where there are.

        Batch normalisation takes the statistics of the sheet's own pictures here.
        """
        chosen = evenly(self.held_out if len(self.held_out) else self.trained_on, self.shown)
        x, y = self.pictures(chosen)
        net = copy.deepcopy(self.averages["generator"]).eval()
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.track_running_stats, m.running_mean, m.running_var = False, None, None
        with self.fabric.autocast():
            made = net(x)
        rows = [to_pixels(p) for p in (x[:, -CHANNELS:][:, :3], made, y)]
        return np.concatenate([np.concatenate(list(row), 1) for row in rows], 0)
