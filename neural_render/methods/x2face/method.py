"""X2Face as a method: people's pictures become weights, a target's pictures are driven by pictures or by codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import facemodel
from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.corpus import Faces, cropped
from neural_render.images import resize_square
from neural_render.methods.base import Needs
from neural_render.methods.clip import Clip
from neural_render.methods.common.head_pose import ANGLES, landmark_angles
from neural_render.methods.common.people import PeopleMethod, sources, to_pixels, with_perceptual
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.methods.x2face.codes import Codes
from neural_render.methods.x2face.network import X2Face
from neural_render.methods.x2face.settings import Options, Settings
from neural_render.methods.x2face.trainer import Trainer
from neural_render.training import bfloat16_helps

PERCEPTUAL = 0.1  # weight of the loss that needs VGG-16's weights, where they are


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """A target that is ready to be driven."""

    network: X2Face
    face: Tensor  # (1, 3, S, S), embedded
    vector: Tensor  # (1, 128) of its first picture


class X2FaceMethod(PeopleMethod):
    name = "x2face"
    title = "X2Face (Wiles et al., ECCV 2018)"
    expression, identity = "driving vector of 128 numbers", "embedded face, a picture"
    training = Needs(landmarks=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(pictures=False)
    Options, Header = Options, Header

    pictures = 4  # of a target that are embedded, at most

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o, base = options, Settings()
        losses = with_perceptual(base.losses, PERCEPTUAL, o.vgg, report)
        return Settings(
            size=o.size, width=o.width, batch=o.batch or base.batch, losses=losses | o.losses, vgg=o.vgg,
            stage_two_after=o.stage_two_after, bfloat16=bfloat16_helps(o.device), seed=o.seed,
        )  # fmt: skip

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        return Trainer(settings, faces, fabric)

    def wants_units(self, options: Options) -> bool:
        return options.units

    @torch.no_grad()
    def person(self, weights: Weights, target: Clip, *, device: str = "cpu", count: int | None = None) -> Person:
        """The target, embedded from up to so many of its pictures, evenly spread."""
        self.target.check([target], "target")
        network = network_of(weights, device)
        shown = sources(target, weights.header.size, count or self.pictures, device).pictures
        return Person(network, network.embedder(shown[None]).face, network.vector(shown[:1]))

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: crops of the networks' size. A driver drives by its pictures, without such by its codes."""
        if driver.frames is None:
            codes = codes_of_track(driver, weights.header.codes)
            person = self.person(weights, target, device=device)
            vectors = Codes.of_tensors(weights.tensors).moved(person.vector, torch.from_numpy(codes))[:, None]
        else:
            Needs(landmarks=True).check([driver], "driver")
            person = self.person(weights, target, device=device)
            shown = cropped(driver, weights.header.size)
            vectors = (person.network.vector(picture[None].to(person.face)) for _, picture, _ in shown)
        return (to_pixels(person.network.drive(person.face, vector)[0]) for vector in vectors)

    def panels(
        self, weights: Weights, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """The embedded face, which is the same in all frames."""
        face = resize_square(self.embedded(weights, target), height)
        for _ in results:
            yield {"embedded face": face}

    def embedded(self, weights: Weights, target: Clip) -> np.ndarray:
        """(S, S, 3) uint8: the target's embedded face."""
        return to_pixels(self.person(weights, target).face[0])


def network_of(weights: Weights, device: str = "cpu") -> X2Face:
    """In evaluation. PortraitError where the tensors don't fit the header."""
    h = weights.header
    return load_network(X2Face(h.size, h.width), weights, "networks", device)


def codes_of_track(driver: Clip, names: Sequence[str]) -> np.ndarray:
    """(F, C) of a driver without pictures. PortraitError where the weights have no codes, or the driver lacks one."""
    if not names:
        raise PortraitError(f"{driver}: expected the driver's pictures, as these weights have no codes; give its video")
    if driver.model is None:
        raise PortraitError(f"driver: expected the face model of {driver} with its track, got none")
    track = driver.track
    points = track.parameters.expanded().landmarks(driver.model, track.camera)
    parts = [landmark_angles(points.cpu().double().numpy(), "mediapipe478", facemodel.load())]
    if len(names) > len(ANGLES):
        units = driver.action_units
        lacking = [name for name in names[len(ANGLES) :] if name not in units.names]
        if lacking:
            raise PortraitError(f"{driver}: expected action units {', '.join(lacking)}, found none such")
        parts.append(units.values[:, [units.names.index(name) for name in names[len(ANGLES) :]]])
    return np.concatenate(parts, 1)
