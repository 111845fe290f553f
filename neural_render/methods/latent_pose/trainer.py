"""Latent pose descriptors' training: a person's other pictures and a disguised one have to give the latter's face."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neural_render.corpus import Faces
from neural_render.losses.adversarial import adversarial
from neural_render.losses.base import Context
from neural_render.losses.masks import dice
from neural_render.losses.objective import Objective
from neural_render.losses.terms import l1
from neural_render.methods.common.people import to_pixels
from neural_render.methods.latent_pose.augmentation import disguised, shifted
from neural_render.methods.latent_pose.foregrounds import Foregrounds
from neural_render.methods.latent_pose.networks import LatentPoseNetworks
from neural_render.methods.latent_pose.settings import Settings
from neural_render.networks.norms import gathering_statistics
from neural_render.networks.projection import ProjectionDiscriminator
from neural_render.training import BaseTrainer


class Trainer(BaseTrainer):
    """On many people's clips; the discriminator has an embedding for each clip."""

    watched = ("l1",)
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, foregrounds: Foregrounds, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces, self.foregrounds = settings, faces, foregrounds
        self.objective = Objective(s.losses, s.loss_options, self.device, given=("on_made", "on_real"))
        self.adversarial = adversarial("hinge")
        self.discriminated = self.objective.needing("on_made")
        self.direct = [name for name in self.objective.terms if name not in self.discriminated]
        with self.random(-1):
            self._add_networks()

    def _add_networks(self) -> None:
        s = self.settings
        networks = LatentPoseNetworks(s.size, s.width, s.pose)
        self.add("networks", networks, self._adam, averaged=True)
        discriminator = ProjectionDiscriminator(int(self.faces.clip.max()) + 1, 3, s.size, s.width)
        self.add("discriminator", discriminator, self._adam_discriminator, methods=("compare",))

    def _adam(self, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
        s = self.settings
        return torch.optim.Adam(parameters, s.rate, (s.beta1, s.beta2), s.epsilon, fused=True)

    def _adam_discriminator(self, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
        s = self.settings
        return torch.optim.Adam(parameters, s.rate_discriminator, (s.beta1, s.beta2), s.epsilon, fused=True)

    def draw(self, rows: np.ndarray, posed: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pictures and foregrounds of the people of other rows (N, K) as they are posed, and codes of the first."""
        return self.networks["networks"](self.faces.pictures(rows).to(self.device), posed)

    def embedded(self, rows: np.ndarray) -> Tensor:
        """(N,): which of the discriminator's embeddings goes with rows (N,)."""
        return torch.from_numpy(self.faces.clip[rows]).to(self.device)

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        rows = self.share(self.faces.pairs(self.step, s.batch, s.seed, 1 + s.pictures))
        posed, mask = self.faces.pictures(rows[:, 0]), self.foregrounds.masks(rows[:, 0])
        self.modules["networks"].train()
        posed, mask = shifted(torch.cat([posed, mask], 1).to(self.device)).split([3, 1], 1)
        real = (posed + 1) * mask - 1
        made, foreground, first = self.draw(rows[:, 1:], disguised(posed))
        made, foreground = made.float(), foreground.float()
        total, values = self.objective(Context(made, real), self.direct)
        values["dice"] = dice(foreground, mask)
        total = total + s.dice * values["dice"]
        if self.step >= s.adversarial_after:
            direction, others, known = self._discriminate(made.detach(), real, self.embedded(rows[:, 0]))
            total, values = total + (made * direction).sum(), {**values, **others}
            if first is not None:
                values["match"] = l1(first, known)
                total = total + s.match * values["match"]
        self.update("networks", total)
        return values

    def _discriminate(self, made: Tensor, real: Tensor, which: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Trains the discriminator; the gradient in ``made`` of what looks at it, the losses, and its embeddings."""
        made = made.requires_grad_()
        with self.fabric.autocast():
            on_made, on_real, known = self.networks["discriminator"].compare(made, real, which)
        total, values = self.objective(
            Context(made, real, {"on_made": on_made, "on_real": on_real}), self.discriminated
        )
        self.fabric.backward(total, inputs=[made], retain_graph=True)
        values["discriminator"] = self.adversarial.discriminator(on_real[-1], on_made[-1])
        self.update("discriminator", values["discriminator"])
        return made.grad, values, known.detach().float()

    @torch.no_grad()
    def final(self, batches: int = 24) -> LatentPoseNetworks:
        """The averaged networks, whose normalisation knows their own statistics."""
        s, networks = self.settings, copy.deepcopy(self.averages["networks"])
        with self.random(-1), gathering_statistics(networks), self.fabric.autocast():
            for step in range(batches):
                rows = self.share(self.faces.pairs(step, s.batch, s.seed, 1 + s.pictures))
                shown = self.faces.pictures(rows).to(self.device)
                networks.people(shown[:, 1:])
                networks.of_pose(disguised(shown[:, 0]))
        return networks

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: people, poses that others show, the people so."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed, 1 + self.settings.pictures)
        posed = self.faces.pictures(rows[:, 0]).roll(1, 0).to(self.device)
        with self.fabric.autocast():
            made, foreground, _ = self.final(12)(self.faces.pictures(rows[:, 1:]).to(self.device), posed)
        parts = (self.faces.pictures(rows[:, 1]), posed, made, 2 * foreground.expand_as(made) - 1)
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        s = self.settings
        tensors = {f"networks.{k}": v for k, v in self.final().state_dict().items()}
        tensors |= {f"discriminator.{k}": v for k, v in self.modules["discriminator"].state_dict().items()}
        del tensors["discriminator.embeddings.weight"]  # of clips that nobody asks for again
        judged = max(0, self.step - s.adversarial_after) if self.discriminated else 0
        return tensors, {"size": s.size, "width": s.width, "pose": s.pose, "judged": judged}
