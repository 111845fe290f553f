"""Identity-invariant motion as a method: clips of many become weights, landmarks of one drive another's picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foundation.errors import PortraitError
from foundation.progress import Report, ignore
from neural_render.corpus import Faces
from neural_render.methods.base import Needs
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import followed
from neural_render.methods.common.people import PeopleMethod, sources, to_pixels, with_perceptual
from neural_render.methods.invariant_motion.networks import MotionNetworks
from neural_render.methods.invariant_motion.settings import Options, Settings
from neural_render.methods.invariant_motion.trainer import Trainer
from neural_render.methods.weights import Weights, WeightsHeader, load_network
from neural_render.training import bfloat16_helps

PERCEPTUAL = 3.0  # weight of the loss that needs VGG-16's weights, where they are
TOGETHER = 16  # frames that are made at once


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    motion: int
    points: int
    scheme: str  # of the landmarks


class InvariantMotion(PeopleMethod):
    """See docs/methods/invariant-motion.md."""

    name = "invariant-motion"
    title = "Identity-invariant motion (after Huang et al., CVPR 2020)"
    expression, identity = "motion code, of landmarks over time", "a picture and its identity code"
    training = Needs(landmarks=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(pictures=False, landmarks=True)
    Options = Options
    Header = Header

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o = options
        losses = with_perceptual(Settings().losses, PERCEPTUAL, o.vgg, report)
        return Settings(
            size=o.size, width=o.width, frames=o.frames, motion=o.motion, temporal=o.temporal, seed=o.seed, vgg=o.vgg,
            batch=o.batch or Settings.batch, losses=losses | o.losses, bfloat16=bfloat16_helps(o.device),
        )  # fmt: skip

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        return Trainer(settings, faces, fabric)

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """See ``Method``: pictures of the networks' size; a frame without landmarks is as the one before it."""
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        h = weights.header
        for clip, role in ((target, "target"), (driver, "driver")):
            if clip.landmarks.scheme != h.scheme:
                raise PortraitError(
                    f"{role}: expected landmarks '{h.scheme}' as trained on, got '{clip.landmarks.scheme}'"
                )
        networks = load_network(MotionNetworks(h.points, h.width, h.motion), weights, "networks", device)
        seen = sources(target, h.size, 1, device)
        with torch.no_grad():
            points = torch.from_numpy(seen.landmarks).to(device)
            own = networks.motion(points[None])[:, 0]
            codes = networks.motion(torch.from_numpy(followed(driver))[None].to(device))
        return _frames(networks, seen.pictures, points, own, codes)


@torch.no_grad()
def _frames(
    networks: MotionNetworks, picture: Tensor, points: Tensor, own: Tensor, codes: Tensor
) -> Iterator[np.ndarray]:
    for some in codes.split(TOGETHER, 1):
        yield from to_pixels(networks.drawn(picture, points, own, some)[0])
