"""Latent pose descriptors fitted to one person: the generator and the person's code go on, the encoders stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neural_render.corpus import Faces
from neural_render.methods.latent_pose.foregrounds import Foregrounds
from neural_render.methods.latent_pose.networks import LatentPoseNetworks, StyledGenerator, drawn
from neural_render.methods.latent_pose.settings import Settings
from neural_render.methods.latent_pose.trainer import Trainer
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.networks.projection import ProjectionDiscriminator

STEPS = (125, 230)  # of one picture, and of ``MANY``
MANY = 32


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    pose: int
    judged: int = 0  # steps that the discriminator has learnt
    adapted: bool = False  # to one person, whose code is in the tensors


def steps_for(pictures: int) -> int:
    """More pictures take more steps; too many and the person's own mimics are lost, say the paper's authors."""
    return round(float(np.interp(pictures, (1, MANY), STEPS)))


def networks_of(weights: Weights, device: torch.device | str = "cpu") -> LatentPoseNetworks:
    h = weights.header
    return load_network(LatentPoseNetworks(h.size, h.width, h.pose), weights, "networks", device)


class PersonGenerator(nn.Module):
    """The generator with one person's code, which is a parameter as its weights are."""

    def __init__(self, generator: StyledGenerator, person: Tensor) -> None:
        super().__init__()
        self.generator, self.person = generator, nn.Parameter(person.clone())

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        return drawn(self.generator, self.person.expand(len(pose), -1), pose)


class Adaptation(Trainer):
    """On one person's pictures; the discriminator has one embedding, begun as the person's code is."""

    def __init__(self, settings: Settings, weights: Weights, faces: Faces, foregrounds: Foregrounds, fabric) -> None:
        self.begun = weights
        super().__init__(settings, faces, foregrounds, fabric)

    def _add_networks(self) -> None:
        s = self.settings
        self.encoders = networks_of(self.begun, self.device)
        with torch.no_grad():
            pictures = self.faces.pictures(np.arange(len(self.faces))).to(self.device)
            person = self.encoders.people(pictures[None]).mean(1)
        generator = PersonGenerator(self.encoders.generator.requires_grad_(True), person)
        self.add("networks", generator, self._adam, averaged=True)
        discriminator = ProjectionDiscriminator(1, 3, s.size, s.width)
        tensors = {k.removeprefix("discriminator."): v for k, v in self.begun.tensors.items()}
        known = {k: tensors[k] for k in discriminator.state_dict() if k in tensors}
        discriminator.load_state_dict({**known, "embeddings.weight": person.cpu()})
        self.add("discriminator", discriminator, self._radam, methods=("compare",))

    def _adam(self, parameters) -> torch.optim.Optimizer:
        """Adam, not the paper's RAdam: that begins with short steps, of which an adaptation would be over."""
        s = self.settings
        return torch.optim.Adam(parameters, s.rate, (s.beta1, s.beta2), s.epsilon)

    def _radam(self, parameters) -> torch.optim.Optimizer:
        """The discriminator's, which has one person's few pictures to learn from."""
        s = self.settings
        return torch.optim.RAdam(parameters, s.rate_discriminator, (s.beta1, s.beta2), s.epsilon)

    def draw(self, rows: np.ndarray, posed: Tensor) -> tuple[Tensor, Tensor, None]:
        with torch.no_grad(), self.fabric.autocast():
            pose = self.encoders.of_pose(posed)
        return *self.networks["networks"](pose), None

    def embedded(self, rows: np.ndarray) -> Tensor:
        return torch.zeros(len(rows), dtype=torch.long, device=self.device)

    def sheet(self) -> None:
        return None

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        s, made = self.settings, self.averages["networks"]
        tensors = dict(self.begun.tensors)
        tensors |= {f"networks.generator.{k}": v for k, v in made.generator.state_dict().items()}
        tensors["person"] = made.person.detach()
        return tensors, {"size": s.size, "width": s.width, "pose": s.pose, "adapted": True}
