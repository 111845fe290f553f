"""ReenactGAN as a method: many people's boundaries become one person's, and these that person's pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.corpus import Faces, cropped
from neural_render.losses.perceptual import available
from neural_render.methods.base import Needs, TrainingBudget, TrainingSummary, option
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.people import PeopleMethod, to_pixels, train_on_faces, vgg_there
from neural_render.methods.reenactgan.networks import Aligner, BoundaryEncoder, Decoder, Transformer
from neural_render.methods.reenactgan.person_trainer import PersonTrainer
from neural_render.methods.reenactgan.settings import Settings
from neural_render.methods.reenactgan.trainer import CorpusTrainer
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.training import bfloat16_helps

FRAMES = 1024  # of a clip that a person is learnt from, at most


@dataclass(frozen=True)
class Options(TrainingBudget):
    size: int = option(64, "px of the networks' pictures: 64, 128 or 256, the paper's; a person's are the weights'")
    width: int = option(16, "channels of their first layers; the paper's have 64; a person's are the weights'")
    vgg: str | None = option(None, "file of VGG-16's weights, for the decoder's perceptual loss; none is torchvision's")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in (64, 128, 256):
            raise PortraitError(f"size: expected 64, 128 or 256, got {self.size}")
        if self.width < 4:
            raise PortraitError(f"width: expected at least 4, got {self.width}")
        available(self.vgg)


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    scheme: str  # of the landmarks whose lines are the boundaries
    target: str  # whose pictures the weights make; "" before `adapt`


class ReenactGAN(PeopleMethod):
    name = "reenactgan"
    title = "ReenactGAN (Wu et al., ECCV 2018)"
    expression, identity = "boundary, a map a line of the face", "the weights, trained on one person"
    training = Needs(landmarks=True, several=True)
    target = Needs(pictures=False)
    driver = Needs(landmarks=True)
    Options, Header = Options, Header

    @staticmethod
    def _settings(options: Options, size: int, width: int) -> Settings:
        o = options
        return Settings(
            size=size, width=width, batch=o.batch or Settings.batch, vgg=o.vgg, seed=o.seed,
            bfloat16=bfloat16_helps(o.device),
        )  # fmt: skip

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        """Of the boundary encoder and a transformer between all people; `adapt` makes them a person's."""
        return self._settings(options, options.size, options.width)

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> CorpusTrainer:
        return CorpusTrainer(settings, faces, fabric)

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
        """The transformer to the references' person, and the decoder to their pictures."""
        h = weights.header
        if h.target:
            raise PortraitError(f"weights: expected those of many people, got those of '{h.target}'; give the former")
        people = dict.fromkeys(clip.person for clip in references)
        if len(people) > 1:
            raise PortraitError(f"references: expected clips of one person, got those of {len(people)}: {list(people)}")
        vgg_there(options.vgg, "the decoder's perceptual loss", report)
        settings = self._settings(options, h.size, h.width)
        return train_on_faces(
            self, partial(PersonTrainer, settings, weights), references, out, options, size=h.size, work=work,
            frames_a_clip=FRAMES, bfloat16=settings.bfloat16, facts={"from": [h.steps, h.seconds]}, report=report,
        )  # fmt: skip

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: pictures of the networks' size, of the weights' person. The target's clip isn't looked at."""
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        h = weights.header
        if not h.target:
            raise PortraitError(
                "weights: expected a person's, got those of many people; adapt them to the target's clip first"
            )
        if target.person and target.person != h.target:
            raise PortraitError(f"target: expected '{h.target}', whose weights they are, got '{target.person}'")
        return self._frames(weights, driver, torch.device(device))

    @staticmethod
    @torch.no_grad()
    def _frames(weights: Weights, driver: Clip, device: torch.device) -> Iterator[np.ndarray]:
        h, settings = weights.header, Settings(size=weights.header.size)
        networks = Transfer.of(weights, device)
        contours = Contours.of(h.scheme)
        decoder = Decoder(len(contours.lines), h.size, settings.side, h.width)
        decoder = load_network(decoder, weights, "decoder", device)
        for _, picture, _ in cropped(driver, h.size):
            maps = networks.encoder.boundary(picture[None].to(device))
            yield to_pixels(decoder(maps if driver.person == h.target else networks.transferred(maps)))[0]


@dataclass(frozen=True)
class Transfer:
    """A person's weights, without the decoder."""

    encoder: BoundaryEncoder
    aligner: Aligner
    transformer: Transformer
    whose: Tensor  # (1, K, H, H): the person's boundary at rest
    resting: Tensor  # (1, P, 2)

    @classmethod
    def of(cls, weights: Weights, device: torch.device | str = "cpu") -> Transfer:
        h, contours = weights.header, Contours.of(weights.header.scheme)
        lines, points, side = len(contours.lines), len(contours.points), Settings(size=h.size).side
        networks = {
            "encoder": BoundaryEncoder(lines, h.size, side, h.width),
            "aligner": Aligner(lines, points, side),
            "transformer": Transformer(lines, points, h.width),
        }
        loaded = (load_network(network, weights, name, device) for name, network in networks.items())
        return cls(*loaded, *(weights.tensors[name].to(device) for name in ("target", "target.points")))

    def transferred(self, maps: Tensor) -> Tensor:
        """(N, K, H, H): anybody's, as the person's."""
        whose, resting = (t.expand(len(maps), *t.shape[1:]) for t in (self.whose, self.resting))
        return self.transformer(maps, self.aligner(maps), whose, resting).maps
