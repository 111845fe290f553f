"""MarioNETte's training: the generator on pictures of one clip, the landmark transformer on what differs within it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.losses.adversarial import adversarial
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.methods.common.contours import Contours, picture
from neural_render.methods.common.head_frame import HeadFrame
from neural_render.methods.common.people import to_pixels
from neural_render.methods.marionette.landmark_transformer import LandmarkTransformer, expressions_of
from neural_render.methods.marionette.networks import Generator
from neural_render.methods.marionette.settings import Settings
from neural_render.networks.projection import ProjectionDiscriminator
from neural_render.training import BaseTrainer


class Trainer(BaseTrainer):
    watched = ("l1",)
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces = settings, faces
        self.contours = Contours.of(faces.scheme)
        self.points = self.contours.pick(faces.landmarks)
        self.heads, _ = HeadFrame.of(self.contours).split(torch.from_numpy(self.points))
        self.expressions, self.told = expressions_of(self.heads, torch.from_numpy(faces.clip))
        self.expressed = float(self.expressions.square().mean().clamp_min(1e-12))
        self.objective = Objective(s.losses, s.loss_options, self.device, given=("on_made", "on_real"))
        self.discriminated = self.objective.needing("on_made")
        self.direct = [name for name in self.objective.terms if name not in self.discriminated]
        self.adversarial = adversarial("hinge")
        with self.random(-1):
            generator = Generator(s.size, s.width)
            discriminator = ProjectionDiscriminator(int(faces.clip.max()) + 1, 6, s.size, s.width)
            transformer = LandmarkTransformer(self.contours.parts, len(self.contours.points), s.width)
        if self.told.any():
            transformer.begin(self.heads[self.told], self.expressions[self.told])
        self.add("generator", generator, self._adam(s.rate), averaged=True)
        self.add("discriminator", discriminator, self._adam(s.judge_rate), methods=("compare",))
        self.add("transformer", transformer, self._adam(s.landmark_rate, 0.9), averaged=True)

    @staticmethod
    def _adam(rate: float, beta: float = 0.5):
        return lambda parameters: torch.optim.Adam(parameters, rate, (beta, 0.999), fused=True)

    def drawn(self, rows: np.ndarray) -> Tensor:
        """(..., 3, S, S): landmark pictures of rows."""
        c, flat = self.contours, self.points[rows.ravel()]
        shown = picture(flat, c.lines, c.colours, self.settings.size)
        return shown.unflatten(0, rows.shape).to(self.device)

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        rows = self.share(self.faces.pairs(self.step, s.batch, s.seed, 2 + self.step % s.targets))
        pictures, drawn = self.faces.pictures(rows).to(self.device), self.drawn(rows)
        return self.generate(rows, pictures, drawn) | self.disentangle(rows[:, :2], pictures[:, :2])

    def generate(self, rows: np.ndarray, pictures: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        """The generator's part: the first picture of each line by its landmarks, out of the others."""
        real, driver = pictures[:, 0], drawn[:, 0]
        points = torch.from_numpy(self.points[rows]).to(self.device)
        made = self.networks["generator"](driver, points[:, 0], pictures[:, 1:], drawn[:, 1:], points[:, 1:])
        discriminated = self.step >= self.settings.adversarial_after and bool(self.discriminated)
        extras, names, values = {}, self.direct, {}
        if discriminated:
            compare = self.networks["discriminator"].compare
            which = torch.from_numpy(self.faces.clip[rows[:, 0]]).to(self.device)
            both = (torch.cat([made.detach(), driver], 1), torch.cat([real, driver], 1))
            fake, true, _ = compare(*both, which)
            values["discriminator"] = self.adversarial.discriminator(true[-1], fake[-1])
            self.update("discriminator", values["discriminator"])
            on_made, on_real, _ = compare(torch.cat([made, driver], 1), both[1], which)
            extras, names = {"on_made": on_made, "on_real": on_real}, None
        total, found = self.objective(Context(made, real, extras), names)
        self.update("generator", total)
        return found | values

    def disentangle(self, rows: np.ndarray, pictures: Tensor) -> dict[str, Tensor]:
        """The landmark transformer's part: the share of expressions' squares that it doesn't find."""
        rows, told = rows.ravel(), self.told[rows.ravel()]
        transformer, wanted = self.networks["transformer"], self.expressions[rows].to(self.device)
        components = transformer(pictures.flatten(0, 1), self.heads[rows].to(self.device))
        found = self.modules["transformer"].expression(components)
        apart = (found - wanted).square().mean((1, 2)) * told.to(found)
        missed = apart.mean() / self.expressed
        self.update("transformer", missed)
        return {"expression": missed}

    def weights(self) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
        s = self.settings
        tensors = {f"{n}.{k}": v for n, part in self.averages.items() for k, v in part.state_dict().items()}
        return tensors, {"size": s.size, "width": s.width, "scheme": self.contours.scheme}

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: a target, its driver's landmarks, the truth, and what is made of them."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed)
        pictures, drawn = self.faces.pictures(rows).to(self.device), self.drawn(rows)
        points = torch.from_numpy(self.points[rows]).to(self.device)
        generator = self.averages["generator"]
        made = generator(drawn[:, 0], points[:, 0], pictures[:, 1:], drawn[:, 1:], points[:, 1:])
        parts = (pictures[:, 1], drawn[:, 0], pictures[:, 0], made)
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])
