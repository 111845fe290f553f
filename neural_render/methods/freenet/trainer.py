"""FReeNet's training: the converter on landmarks of many people, the generator on their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.losses.adversarial import adversarial
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.losses.perceptual import Perceptual, available
from neural_render.methods.common.contours import Contours, dots
from neural_render.methods.common.head_frame import HeadFrame
from neural_render.methods.common.partners import of_same_person, partners
from neural_render.methods.common.people import to_pixels
from neural_render.methods.freenet.converter import LandmarkConverter, LandmarkJudge
from neural_render.methods.freenet.generator import GeometryGenerator
from neural_render.methods.freenet.settings import Settings
from neural_render.networks import PatchDiscriminator
from neural_render.training import BaseTrainer

MARGIN = 0.3  # of the triplet perceptual loss
JUDGED = (1.0, 0.1)  # weights of realness and likeness in the judge's own loss


def triplet(vgg: Perceptual, anchor: Tensor, like: Tensor, unlike: Tensor) -> Tensor:
    """Mean over VGG's first three layers of how much nearer the anchor is to ``like`` than to ``unlike``, short of 0.3.

    Zhang et al., Eq. 8, by mean squared differences; a mean over the pictures (N, 3, S, S) in [-1, 1].
    """
    layers = zip(*(vgg.features(x)[:3] for x in (anchor, like, unlike)))
    apart = lambda a, b: (a - b).square().mean((1, 2, 3))  # noqa: E731
    return torch.stack([F.relu(apart(a, p) - apart(a, n) + MARGIN).mean() for a, p, n in layers]).mean()


class Trainer(BaseTrainer):
    """Both networks in each step: the converter's are small beside the generator's."""

    watched = ("l1", "truth")
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces = settings, faces
        self.contours = Contours.of(faces.scheme)
        self.frame = HeadFrame.of(self.contours)
        self.landmarks = torch.from_numpy(self.contours.pick(faces.landmarks))
        self.objective = Objective(s.losses, {"vgg": s.vgg}, self.device, given=("on_made",))
        self.vgg = Perceptual(s.vgg).to(self.device) if s.triplet and available(s.vgg) else None
        self.picture_judge, self.landmark_judge = adversarial("non-saturating"), adversarial("least-squares")
        points = len(self.contours.points)
        with self.random(-1):
            networks = {
                "converter": LandmarkConverter(self.frame.shape, s.points),
                "generator": GeometryGenerator(s.width),
                "judge": LandmarkJudge(points, s.points),
                "discriminator": PatchDiscriminator(3, 3, s.width, norm="instance"),
            }
        self._begin(networks["converter"])
        for name, network in networks.items():
            make = self._for_landmarks if name in ("converter", "judge") else self._for_pictures
            methods = ("compare",) if name == "discriminator" else ()
            self.add(name, network, make, averaged=name in ("converter", "generator"), methods=methods)

    def _begin(self, converter: LandmarkConverter) -> None:
        """Lets the converter begin at the least squares of pairs, where the corpus has enough of them."""
        faces, seed, count = self.faces, self.settings.seed, 4 * 4 * len(self.contours.points)
        rows = faces.pairs(0, count, seed, 1)[:, 0]
        others, paired = partners(faces, rows, 0, seed)
        person = of_same_person(faces, rows, 0, seed)
        if paired.sum() > count / 4:
            converter.begin(*(self.frame.split(self.landmarks[r[paired]])[0] for r in (others, person, rows)))

    def _for_landmarks(self, parameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, self.settings.converter_rate, fused=True)

    def _for_pictures(self, parameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, self.settings.rate, (0.5, 0.999), fused=True)

    def points(self, rows: np.ndarray) -> Tensor:
        """(..., P, 2) of rows."""
        return self.landmarks[rows].to(self.device)

    def losses(self) -> dict[str, Tensor]:
        return {**self.convert(), **self.generate()}

    def convert(self) -> dict[str, Tensor]:
        """The converter's part of a step, on somebody's expressions (``wanted``) as other people have them."""
        s, faces = self.settings, self.faces
        rows = self.share(faces.pairs(self.step, s.converted, s.seed + 1, 1)[:, 0])
        others, paired = partners(faces, rows, self.step, s.seed)
        person, theirs = (of_same_person(faces, r, self.step, s.seed) for r in (rows, others))
        wanted, reference, driver, of_driver = (
            self.frame.split(self.points(r))[0] for r in (rows, person, others, theirs)
        )
        convert, judge, judged = self.networks["converter"], self.networks["judge"], self.landmark_judge
        made = convert(driver, reference)
        real, fake = judge(wanted, reference), judge(made.detach(), reference)
        on_judge = sum(w * judged.discriminator(a, b) for w, a, b in zip(JUDGED, real, fake))
        self.update("judge", on_judge)
        realness, likeness = judge(made, reference)
        known = torch.from_numpy(paired).to(made)[:, None, None]
        values = {
            "truth": ((made - wanted).abs() * known).mean() / known.mean().clamp_min(1 / len(known)),
            "cycle": F.l1_loss(convert(made, of_driver), driver),
            "own": F.l1_loss(convert(wanted, reference), wanted),
            "realness": judged.generator(realness),
            "likeness": judged.generator(likeness),
        }
        self.update("converter", sum(s.conversion[name] * value for name, value in values.items()))
        return values

    def generate(self) -> dict[str, Tensor]:
        """The generator's part of a step, on two pictures of a clip."""
        s = self.settings
        rows = self.share(self.faces.pairs(self.step, s.batch, s.seed))
        reference, real = self.faces.pictures(rows).to(self.device).unbind(1)
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        own, wanted = self.points(rows).unbind(1)
        made = generator(reference, own, wanted)
        fake, true = discriminator.compare(reference, made.detach(), real)
        on_discriminator = self.picture_judge.discriminator(true[-1], fake[-1])
        self.update("discriminator", on_discriminator)
        on_made = discriminator.compare(reference, made, real)[0]
        total, values = self.objective(Context(made, real, {"on_made": on_made}))
        if self.vgg is not None:
            values["triplet"] = self._triplet(rows, reference, made)
            total = total + s.triplet * values["triplet"]
        self.update("generator", total)
        return values

    def _triplet(self, rows: np.ndarray, reference: Tensor, made: Tensor) -> Tensor:
        """Of a person with an expression: the person with somebody's else, and somebody else with it."""
        others, _ = partners(self.faces, rows[:, 1], self.step, self.settings.seed)
        reference_of, own, driver = (self.points(r) for r in (rows[:, 0], rows[:, 1], others))
        convert = self.networks["converter"]
        with torch.no_grad():
            as_own, as_others = (
                self.frame.fitted(convert, driver, reference_of),
                self.frame.fitted(convert, own, driver),
            )
        generate = self.networks["generator"]
        like = generate(reference, reference_of, as_own)
        unlike = generate(self.faces.pictures(others).to(self.device), driver, as_others)
        return triplet(self.vgg, made, like, unlike)

    def weights(self) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
        s = self.settings
        tensors = {f"{n}.{k}": v for n in self.averages for k, v in self.averages[n].state_dict().items()}
        return tensors, {"size": s.size, "width": s.width, "points": s.points, "scheme": self.contours.scheme}

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: references, the next column's dots, those fitted to the reference, and the picture with them."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed)
        reference = self.faces.pictures(rows[:, 0]).to(self.device)
        own, driver = self.points(rows[:, 0]), self.points(np.roll(rows[:, 1], 1))
        fitted = self.frame.fitted(self.averages["converter"], driver, own)
        size = self.settings.size
        made = self.averages["generator"](reference, own, fitted)
        shown = [(2 * dots(p, size) - 1).expand(-1, 3, -1, -1) for p in (driver, fitted)]
        parts = (reference, *shown, made)
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])
