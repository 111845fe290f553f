"""UV-GAN's training step: a generator, a discriminator of the whole texture, one of the middle of the face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError, unknown_name
from geometry.color import to_uint8
from neural_render.losses.adversarial import adversarial
from neural_render.losses.terms import embedding_distance, l1
from neural_render.networks import PatchDiscriminator
from neural_render.training import BaseTrainer, make_fabric, order
from neural_render.uv_gan.generator import INPUTS, UVGenerator, generator_input
from neural_render.uv_gan.samples import Box, TextureSet
from neural_render.uv_gan.settings import Settings

Embed = Callable[[Tensor], Tensor]
"""Textures (N, 3, S, S) in [-1, 1] to embeddings (N, D), differentiable, its own weights fixed."""
DISCRIMINATORS = ("global", "local")


class UVTrainer(BaseTrainer):
    """Learns to complete the textures of a set (Deng et al., UV-GAN, CVPR 2018).

    embed: for the loss "identity", an embedding of faces; ``neural_render`` knows of none itself.
    """

    watched = ("l1",)
    steps_needed = 1750  # what docs/uv.md measures
    scored, shown = 64, 6  # textures that a score looks at, columns of a sheet

    def __init__(
        self, settings: Settings, data: TextureSet, device: str = "cpu", *, embed: Embed | None = None, fabric=None
    ) -> None:
        super().__init__(settings, fabric or make_fabric(device, bfloat16=settings.bfloat16))
        s, self.data, self.embed = settings, data, embed
        self._check()
        people = torch.unique(data.people)
        kept = people[torch.randperm(len(people), generator=torch.Generator().manual_seed(s.seed))]
        held = kept[: round(s.held_out * len(people))]
        apart = torch.isin(data.people, held).numpy()
        self.trained_on, self.held_out = np.flatnonzero(~apart), np.flatnonzero(apart)
        if not len(self.trained_on):
            raise PortraitError(f"held_out: {s.held_out} of {len(people)} people leaves none to train on")
        self.adversarial = adversarial(s.adversarial)
        with self.random(-1):
            generator = UVGenerator(s.size, s.width, norm=s.norm)
            discriminators = {
                n: PatchDiscriminator(INPUTS, 3, s.width, norm=s.norm) for n in DISCRIMINATORS if s.losses.get(n)
            }
        generator.start_from(mean_texture(data, self.trained_on))
        self.generator = self.add("generator", generator, self._adam, averaged=True)
        for name, discriminator in discriminators.items():
            self.add(name, discriminator, self._adam, methods=("compare",))

    def _check(self) -> None:
        s = self.settings
        check_losses(s.losses)
        if s.losses.get("identity") and self.embed is None:
            raise PortraitError("loss 'identity': expected an embedding network with it, got none")
        if self.data.size != s.size:
            raise PortraitError(f"size: the textures have {self.data.size} texels a side, the settings say {s.size}")
        if s.batch % self.fabric.world_size:
            raise PortraitError(f"batch: expected a multiple of the {self.fabric.world_size} processes, got {s.batch}")

    def _adam(self, parameters) -> torch.optim.Optimizer:
        s = self.settings
        return torch.optim.Adam(parameters, lr=s.rate, betas=(s.beta1, s.beta2), fused=True)

    def batch(self, chosen: np.ndarray, masks: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Textures (N, 3, S, S) in [-1, 1], what is shown of them and where they are true (N, 1, S, S) in [0, 1]."""
        d, place = self.data, self.device
        real = d.textures[chosen].to(place).movedim(-1, 1).float() / 127.5 - 1
        known = d.known[chosen].to(place)[:, None].float()
        return real, d.masks[masks].to(place)[:, None].float() / 255 * known, known

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        chosen = self.trained_on[self.share(order(self.step, s.batch, len(self.trained_on), s.seed))]
        masks = torch.randint(len(self.data.masks), (len(chosen),)).numpy()
        real, shown, known = self.batch(chosen, masks)
        real, shown, known = augment(real, shown, known, s.jitter, s.occluders)
        x = generator_input(real, shown, s.noise * torch.randn_like(real))
        made = self.networks["generator"](x).float()
        values = {"l1": l1(made, real, known * (s.seen_weight + (1 - s.seen_weight) * (1 - shown)))}
        total = s.losses.get("l1", 0.0) * values["l1"]
        pasted = known * (shown * real + (1 - shown) * made) + (1 - known) * real
        if s.losses.get("identity"):
            with torch.no_grad():
                wanted = self.embed(real)
            values["identity"] = embedding_distance(self.embed(pasted), wanted)
            total = total + s.losses["identity"] * values["identity"]
        if self.step >= s.adversarial_after:
            for name in (n for n in DISCRIMINATORS if n in self.modules):
                direction, others = self._discriminate(name, x, pasted, real)
                total, values = total + s.losses[name] * direction, {**values, **others}
        self.update("generator", total)
        return values

    def _discriminate(self, name: str, x: Tensor, made: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Trains a discriminator; what the generator is to make smaller, and the losses."""
        if name == "local":
            x, made, real = (middle(t, self.data.middle) for t in (x, made, real))
        fake = made.detach().requires_grad_()
        with self.fabric.autocast():
            on_made, on_real = self.networks[name].compare(x, fake, real)
        loss = self.adversarial.generator(on_made[-1])
        self.fabric.backward(loss, inputs=[fake], retain_graph=True)
        own = self.adversarial.discriminator(on_real[-1], on_made[-1])
        self.update(name, own)
        return (made * fake.grad).sum(), {name: loss.detach(), f"{name}-discriminator": own.detach()}

    @torch.no_grad()
    def complete(self, chosen: np.ndarray, masks: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Real textures (N, 3, S, S), what is shown of them, and the averaged generator's, visible texels pasted."""
        real, shown, _ = self.batch(chosen, masks)
        made = self.averages["generator"](generator_input(real, shown, torch.zeros_like(real)))
        return real, shown, shown * real + (1 - shown) * made

    def score(self) -> float | None:
        """Mean L1 in the holes of textures of people kept out, of a range of 2."""
        if not len(self.held_out):
            return None
        rows = self.held_out[np.linspace(0, len(self.held_out) - 1, min(self.scored, len(self.held_out))).astype(int)]
        real, shown, made = self.complete(rows, rows % len(self.data.masks))
        hole = (1 - shown) * self.data.known[rows].to(self.device)[:, None]
        return self.together([float(((made - real).abs().mean(1, keepdim=True) * hole).sum() / hole.sum())])[0]

    def sheet(self) -> np.ndarray:
        """Rows: what is shown, what the network makes of it, the truth."""
        rows = self.held_out if len(self.held_out) else self.trained_on
        rows = rows[np.linspace(0, len(rows) - 1, min(self.shown, len(rows))).astype(int)]
        real, shown, made = self.complete(rows, rows % len(self.data.masks))
        seen = shown * (real + 1) - 1
        sheet = torch.cat([torch.cat(list(t), -1) for t in (seen, made, real)], 1)
        return to_uint8((sheet.movedim(0, -1) + 1) / 2).cpu().numpy()


def check_losses(weights: dict[str, float]) -> None:
    """PortraitError for an unknown loss or a negative weight."""
    known = ("l1", "identity", *DISCRIMINATORS)
    for name, weight in weights.items():
        if name not in known:
            raise unknown_name("loss", name, known)
        if not weight >= 0:
            raise PortraitError(f"loss '{name}': expected a weight of at least 0, got {weight}")


def middle(pictures: Tensor, box: Box) -> Tensor:
    """What is in a box of (N, C, S, S)."""
    left, right, top, bottom = (round(v * pictures.shape[-1]) for v in box)
    return pictures[..., top:bottom, left:right]


def mean_texture(data: TextureSet, rows: np.ndarray) -> Tensor:
    """(3, S, S) in [-1, 1]: the mean of each texel over the textures in which it is known; grey where none is."""
    total, count = torch.zeros(data.size, data.size, 3), torch.zeros(data.size, data.size, 1)
    for row in rows:
        known = data.known[row][..., None].float()
        total += (data.textures[row].float() / 127.5 - 1) * known
        count += known
    return (total / count.clamp_min(1)).movedim(-1, 0)


def augment(
    real: Tensor, shown: Tensor, known: Tensor, jitter: float, occluders: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Textures under a little more or less light, mirrored in half of all cases, some with an elliptic hole."""
    n, size, place = len(real), real.shape[-1], real.device
    gain = (jitter * torch.randn(n, 1, 1, 1) + 0.3 * jitter * torch.randn(n, 3, 1, 1)).exp().to(place)
    # Light is linear; at gamma 2.2 a gain is nearly one of the stored values.
    real = ((real + 1) * gain ** (1 / 2.2) - 1).clamp(-1, 1)
    flip = (torch.rand(n, 1, 1, 1) < 0.5).to(place)
    real, shown, known = (torch.where(flip, t.flip(-1), t) for t in (real, shown, known))
    axis = torch.linspace(0, 1, size, device=place)
    center, radius = torch.rand(n, 2, 1, 1, 1).to(place), (0.04 + 0.16 * torch.rand(n, 2, 1, 1, 1)).to(place)
    inside = ((axis - center[:, 0]) / radius[:, 0]) ** 2 + ((axis[:, None] - center[:, 1]) / radius[:, 1]) ** 2 < 1
    there = (torch.rand(n, 1, 1, 1) < occluders).to(place)
    return real, shown * (1 - (inside & there).float()), known
