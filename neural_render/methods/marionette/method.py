"""MarioNETte as a method: many people's pictures and landmarks become weights; a few pictures of anybody are driven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.corpus import Faces, cropped
from neural_render.losses.objective import check_losses
from neural_render.methods.base import Needs, TrainingBudget, option
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import Contours, check_scheme, followed, picture
from neural_render.methods.common.head_frame import HeadFrame, placed
from neural_render.methods.common.people import PeopleMethod, Sources, sources, to_pixels, with_perceptual
from neural_render.methods.marionette.landmark_transformer import LandmarkTransformer
from neural_render.methods.marionette.networks import Generator
from neural_render.methods.marionette.settings import Settings
from neural_render.methods.marionette.trainer import Trainer
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.training import bfloat16_helps


@dataclass(frozen=True)
class Options(TrainingBudget):
    size: int = option(64, "px of the networks' pictures: 64, 128 or 256, the paper's")
    width: int = option(16, "channels of their first layers, a multiple of four; the paper's have 64")
    losses: Mapping[str, float] = option({}, "weights of losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for 'perceptual'; none is torchvision's cache")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in (64, 128, 256):
            raise PortraitError(f"size: expected 64, 128 or 256, got {self.size}")
        if self.width < 4 or self.width % 4:
            raise PortraitError(f"width: expected a multiple of four, got {self.width}")
        check_losses(self.losses, {"vgg": self.vgg})


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    scheme: str  # of the landmarks


class MarioNETte(PeopleMethod):
    name = "marionette"
    title = "MarioNETte (Ha et al., AAAI 2020)"
    expression, identity = "landmarks, drawn, without the driver's shape", "up to eight pictures, attended to"
    training = Needs(landmarks=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(landmarks=True)
    Options, Header = Options, Header

    pictures = 8  # of a target, at most

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o, base = options, Settings()
        losses = with_perceptual(base.losses, base.perceptual, o.vgg, report)
        return Settings(
            size=o.size, width=o.width, batch=o.batch or base.batch, seed=o.seed, vgg=o.vgg, losses=losses | o.losses,
            bfloat16=bfloat16_helps(o.device),
        )  # fmt: skip

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        return Trainer(settings, faces, fabric)

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: pictures of the networks' size. A person's own landmarks are taken as they are."""
        h = weights.header
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        for clip, role in ((target, "target"), (driver, "driver")):
            check_scheme(clip, h.scheme, role)
        found = sources(target, h.size, self.pictures, device)
        contours = Contours.of(h.scheme)
        points = torch.from_numpy(contours.pick(followed(driver)))
        if not target.person or target.person != driver.person:
            points = self.transferred(weights, found, driver, device)
        return self._frames(weights, found, points, device)

    @torch.no_grad()
    def transferred(self, weights: Weights, target: Sources, driver: Clip, device: str = "cpu") -> Tensor:
        """(F, P, 2): the landmarks of the target, in the target's crop, with the driver's poses and expressions."""
        h, contours = weights.header, Contours.of(weights.header.scheme)
        network = LandmarkTransformer(contours.parts, len(contours.points), h.width)
        network = load_network(network, weights, "transformer", device)
        frame = HeadFrame.of(contours)
        own = frame.split(torch.from_numpy(contours.pick(target.landmarks)))[0]
        identity = network.identity(target.pictures, own.to(device))
        heads, pose = frame.split(torch.from_numpy(contours.pick(followed(driver))))
        shown = (picture[None].to(device) for _, picture, _ in cropped(driver, h.size))
        made = [network.transfer(identity, network(one, head[None].to(device))) for one, head in zip(shown, heads)]
        return placed(torch.cat(made).cpu(), pose, torch.from_numpy(target.landmarks), contours)

    @staticmethod
    @torch.no_grad()
    def _frames(weights: Weights, target: Sources, points: Tensor, device: str) -> Iterator[np.ndarray]:
        h, contours = weights.header, Contours.of(weights.header.scheme)

        def drawn(p: np.ndarray) -> Tensor:
            return picture(p, contours.lines, contours.colours, h.size).to(device)

        generator = load_network(Generator(h.size, h.width), weights, "generator", device)
        own = contours.pick(target.landmarks)
        known = generator.encode(target.pictures[None], drawn(own)[None], torch.from_numpy(own)[None].to(device))
        for p in points:
            yield to_pixels(generator.draw(drawn(p[None].numpy()), p[None].to(device), known))[0]
