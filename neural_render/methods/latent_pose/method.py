"""Latent pose descriptors as a method: clips of many become weights, pictures of one drive pictures of another."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from fitting.occlusion.foreground import ForegroundNet
from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.corpus import Faces, cropped
from neural_render.images import resize_square
from neural_render.methods.base import Needs, TrainingSummary
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import PeopleMethod, sources, to_pixels, train_on_faces, with_perceptual
from neural_render.methods.latent_pose.adaptation import Adaptation, Header, networks_of, steps_for
from neural_render.methods.latent_pose.foregrounds import Foregrounds
from neural_render.methods.latent_pose.networks import drawn
from neural_render.methods.latent_pose.settings import Options, Settings
from neural_render.methods.latent_pose.trainer import Trainer
from neural_render.methods.weights import Weights
from neural_render.training import bfloat16_helps

SOURCES = 8  # pictures of a target, at most
PERCEPTUAL = 10.0  # weight of the loss that needs VGG-16's weights, where they are
JUDGED = 1000  # steps that a discriminator has to have learnt to be of use to an adaptation, which goes on with it
HIDDEN = 0.02  # a foreground of more hides what is behind


class LatentPose(PeopleMethod):
    """See docs/methods/latent-pose.md."""

    name = "latent-pose"
    title = "Latent pose descriptors (Burkov et al., CVPR 2020)"
    expression, identity = "pose descriptor, of pictures alone", "mean of several pictures' embeddings"
    training = Needs(landmarks=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(landmarks=True)
    Options = Options
    Header = Header

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o = options
        return self._settings(Settings(size=o.size, width=o.width, pose=o.pose, pictures=o.pictures), options, report)

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        with fabric.rank_zero_first():
            return Trainer(settings, faces, Foregrounds(faces), fabric)

    def adapt(
        self,
        weights: Weights,
        references: Sequence[Clip],
        out: str | os.PathLike,
        options: Options,
        *,
        work: str | os.PathLike | None = None,
        report: Report = ignore,
    ) -> TrainingSummary:
        """See ``Method``. As many steps as the paper's authors advise for so many pictures, unless told otherwise."""
        h = weights.header
        if h.adapted:
            raise PortraitError("weights: already those of one person; adapt those of many people")
        if len(people := {clip.person for clip in references}) > 1:
            raise PortraitError(f"references: expected one person's, got {len(people)} people's")
        settings = self._settings(
            Settings(
                size=h.size, width=h.width, pose=h.pose, pictures=0, rate=5e-4, rate_discriminator=8e-4, beta1=0.0,
                adversarial_after=0 if h.judged >= JUDGED else sys.maxsize, ema=0.95,
            ), options, report,
        )  # fmt: skip
        frames = sum(clip.count or 1 for clip in references)

        def make(faces: Faces, fabric) -> Adaptation:
            with fabric.rank_zero_first():
                return Adaptation(settings, weights, faces, Foregrounds(faces), fabric)

        return train_on_faces(
            self, make, references, out, replace(options, steps=options.steps or steps_for(frames)), size=h.size,
            work=work, bfloat16=settings.bfloat16, facts={"begun": h.steps}, report=report,
        )  # fmt: skip

    @staticmethod
    def _settings(base: Settings, options: Options, report: Report) -> Settings:
        o = options
        losses = with_perceptual(base.losses, PERCEPTUAL, o.vgg, report)
        return replace(
            base, batch=o.batch or base.batch, seed=o.seed, vgg=o.vgg, losses=losses | o.losses,
            bfloat16=bfloat16_helps(o.device),
        )  # fmt: skip

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: pictures of the networks' size, before the target's background as far as it is seen."""
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        behind = background(target, weights.header.size)
        return (composed(made, foreground, behind) for made, foreground in self._drawn(weights, target, driver, device))

    def panels(
        self, weights: Weights, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """What the network says is the person."""
        for (_, foreground), _result in zip(self._drawn(weights, target, driver, "cpu"), results):
            yield {"foreground": resize_square(to_pixels(2 * foreground.expand(3, -1, -1) - 1), height)}

    @torch.no_grad()
    def person(self, weights: Weights, target: Clip, device: str = "cpu") -> Tensor:
        """(1, C): who is to be seen; of weights that were adapted to somebody, that."""
        if weights.header.adapted:
            return weights.tensors["person"].to(device)
        shown = sources(target, weights.header.size, SOURCES, device).pictures
        return networks_of(weights, device).people(shown[None]).mean(1)

    def _drawn(self, weights: Weights, target: Clip, driver: Clip, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The generator's picture (3, S, S) and foreground (1, S, S) for each of the driver's frames."""
        networks, person = networks_of(weights, device), self.person(weights, target, device)
        for _, picture, _ in cropped(driver, weights.header.size):
            with torch.no_grad():
                made, foreground = drawn(networks.generator, person, networks.of_pose(picture[None].to(device)))
            yield made[0], foreground[0]


def background(target: Clip, size: int) -> Tensor:
    """(3, S, S) in [-1, 1]: the target's first picture without the person, filled in from around them."""
    shown = to_pixels(sources(target, size, 1).pictures[0])
    with ForegroundNet() as network:
        hidden = (network(shown) > HIDDEN).astype(np.uint8)
    if hidden.all():
        return torch.full((3, size, size), -1.0)
    hidden = cv2.dilate(hidden, np.ones((3, 3), np.uint8))
    filled = cv2.inpaint(shown, hidden, 3, cv2.INPAINT_TELEA)
    return torch.from_numpy(filled).movedim(-1, 0).float() / 127.5 - 1


def composed(made: Tensor, foreground: Tensor, behind: Tensor) -> np.ndarray:
    """(S, S, 3) uint8: what was drawn on black, on what is behind it."""
    return to_pixels(made + (1 - foreground) * (behind.to(made) + 1))
