"""Disentangling as a method: people's pictures become weights; a target's embedded face takes a driver's poses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foundation.progress import Report, ignore
from neural_render.corpus import Faces, cropped
from neural_render.images import resize_square
from neural_render.methods.base import Needs
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import PeopleMethod, sources, to_pixels, with_perceptual
from neural_render.methods.disentangling.networks import DisentanglingNetworks
from neural_render.methods.disentangling.settings import Options, Settings
from neural_render.methods.disentangling.trainer import Trainer
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.training import bfloat16_helps

PERCEPTUAL = 0.1  # weight of the loss that needs VGG-16's weights, where they are


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int


class Disentangling(PeopleMethod):
    """See docs/methods/disentangling.md."""

    name = "disentangling"
    title = "Self-supervised disentangling (after Zeng et al., AAAI 2020)"
    expression, identity = "flows that deform the embedded face", "embedded face, a picture"
    training = Needs(landmarks=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(landmarks=True)
    Options, Header = Options, Header

    pictures = 4  # that a face is embedded from, at most

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o, base = options, Settings()
        losses = with_perceptual(base.losses, PERCEPTUAL, o.vgg, report)
        return Settings(
            size=o.size, width=o.width, batch=o.batch or base.batch, losses=losses | o.losses, vgg=o.vgg,
            bfloat16=bfloat16_helps(o.device), seed=o.seed,
        )  # fmt: skip

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        return Trainer(settings, faces, fabric)

    @torch.no_grad()
    def embedded(self, networks: DisentanglingNetworks, clip: Clip, size: int) -> Tensor:
        """(1, 3, S, S): the face of up to ``pictures`` of a clip's frames, evenly spread."""
        device = next(networks.parameters()).device
        return networks.embedder(sources(clip, size, self.pictures, device).pictures[None]).face

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: crops of the networks' size. Poses are told against the driver's own embedded face."""
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        size, networks = weights.header.size, networks_of(weights, device)
        face, own = (self.embedded(networks, clip, size) for clip in (target, driver))

        @torch.no_grad()
        def posed(frame: Tensor) -> np.ndarray:
            flows = networks.pose.flows(networks.pose.code(own, frame[None].to(face)))
            return to_pixels(networks.generator(face, flows)[0][0])

        return (posed(frame) for _, frame, _ in cropped(driver, size))

    def panels(
        self, weights: Weights, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """The embedded face, which is the same in all frames."""
        face = self.embedded(networks_of(weights), target, weights.header.size)
        shown = resize_square(to_pixels(face[0]), height)
        for _ in results:
            yield {"embedded face": shown}


def networks_of(weights: Weights, device: str = "cpu") -> DisentanglingNetworks:
    """In evaluation. PortraitError where the tensors don't fit the header."""
    h = weights.header
    return load_network(DisentanglingNetworks(h.size, h.width), weights, "networks", device)
