"""FReeNet as a method: many people's pictures become weights; landmarks of one drive a picture of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from foundation.progress import Event, Report, ignore
from neural_render.corpus.faces import UNKNOWN, Faces
from neural_render.losses.objective import check_losses
from neural_render.methods.base import Needs, TrainingBudget, option
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import Contours, check_scheme, followed
from neural_render.methods.common.head_frame import HeadFrame, placed
from neural_render.methods.common.people import PeopleMethod, sources, to_pixels, vgg_there
from neural_render.methods.freenet.converter import LandmarkConverter
from neural_render.methods.freenet.generator import GeometryGenerator
from neural_render.methods.freenet.settings import Settings
from neural_render.methods.freenet.trainer import Trainer
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.training import bfloat16_helps


@dataclass(frozen=True)
class Options(TrainingBudget):
    size: int = option(64, "px of the networks' pictures: 64, 128 or 256, the paper's")
    width: int = option(16, "channels of the generator's first layer; the paper's has 64")
    points: int = option(256, "width of the landmark converter's layers; the paper's have 512")
    losses: Mapping[str, float] = option({}, "weights of the generator's losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for the triplet loss; none is torchvision's cache")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in (64, 128, 256):
            raise PortraitError(f"size: expected 64, 128 or 256, got {self.size}")
        for name in ("width", "points"):
            if getattr(self, name) < 4:
                raise PortraitError(f"{name}: expected at least 4, got {getattr(self, name)}")
        check_losses(self.losses, {"vgg": self.vgg})


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    points: int
    scheme: str  # of the landmarks


class FReeNet(PeopleMethod):
    name = "freenet"
    title = "FReeNet (Zhang et al., CVPR 2020)"
    expression, identity = "landmarks, fitted to the target's face", "a picture and its landmarks"
    training = Needs(landmarks=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(pictures=False, landmarks=True)
    Options, Header = Options, Header

    references = 8  # frames of a target, of which each frame takes the one whose landmarks are nearest

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o, base = options, Settings()
        vgg_there(o.vgg, "the triplet loss", report)
        return Settings(
            size=o.size, width=o.width, points=o.points, batch=o.batch or base.batch, seed=o.seed, vgg=o.vgg,
            losses={**base.losses, **o.losses}, bfloat16=bfloat16_helps(o.device),
        )  # fmt: skip

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        """The truth for the converter is people in one performance; without any it learns unpaired."""
        if (faces.performance == UNKNOWN).all():
            note = "no performance is labelled: the converter has no pairs of people to learn from"
            report(Event("faces", 0, 1, "clips", note))
        return Trainer(settings, faces, fabric)

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: pictures of the networks' size. A person's own landmarks are taken as they are."""
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        h = weights.header
        for clip, role in ((target, "target"), (driver, "driver")):
            check_scheme(clip, h.scheme, role)
        contours = Contours.of(h.scheme)
        generator = load_network(GeometryGenerator(h.width), weights, "generator", device)
        found = sources(target, h.size, self.references, device)
        own, wanted = (torch.from_numpy(p) for p in (found.landmarks, contours.pick(followed(driver))))
        if not target.person or target.person != driver.person:
            converter = load_network(LandmarkConverter(HeadFrame.of(contours).shape, h.points), weights, "converter")
            wanted = fitted(converter, contours, wanted, own)
        return frames(generator, found.pictures, own[:, list(contours.points)], wanted)


@torch.no_grad()
def fitted(converter: LandmarkConverter, contours: Contours, driver: Tensor, own: Tensor) -> Tensor:
    """(F, P, 2): a driver's landmarks (F, P, 2) on the face of a person whose own are (K, L, 2), in that one's crop."""
    frame = HeadFrame.of(contours)
    heads, pose = frame.split(driver)
    references = frame.split(own[:, list(contours.points)])[0]
    made = torch.stack([converter(head.expand_as(references), references).mean(0) for head in heads])
    return placed(made, pose, own, contours)


@torch.no_grad()
def frames(generator: GeometryGenerator, pictures: Tensor, own: Tensor, wanted: Tensor) -> Iterator[np.ndarray]:
    """For landmarks (F, P, 2), of a person's pictures (K, 3, S, S) the one whose landmarks are nearest, with those."""
    for points in wanted[:, None]:
        nearest = (own - points).square().sum((1, 2)).argmin()
        yield to_pixels(generator(pictures[nearest][None], own[nearest][None].to(pictures), points.to(pictures)))[0]
