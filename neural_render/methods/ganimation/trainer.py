"""GANimation's training step: a critic that tells real faces and reads units, a generator that edits them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from facemodel.action_units import STRONGEST
from foundation.errors import PortraitError
from neural_render.corpus import Faces
from neural_render.losses.terms import l1, total_variation
from neural_render.methods.common.people import to_pixels
from neural_render.methods.ganimation.alignment import cut, mean_face, mirrored, places
from neural_render.methods.ganimation.networks import EditGenerator, UnitCritic
from neural_render.methods.ganimation.settings import Settings
from neural_render.training import BaseTrainer

DRIFT = 1e-3  # weight of the scores' squares, before there is anything to tell from real pictures
LEAST_SPREAD = 0.1  # of 5: a unit whose standard deviation is less doesn't move in the corpus


def moving_units(faces: Faces) -> list[int]:
    """Columns of the units that the corpus shows in different strengths. PortraitError where there are none."""
    moving = np.flatnonzero(faces.units.std(0) > LEAST_SPREAD).tolist()
    if not moving:
        raise PortraitError(
            "clips: expected action units that change, found none that do; train on clips that show more"
        )
    return moving


class Trainer(BaseTrainer):
    """See the module. Units are 0 to 1 here, 5 being 1."""

    watched = ("units-real",)
    shown = 6  # columns of a sheet of samples

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces, columns = settings, faces, moving_units(faces)
        self.names = tuple(faces.unit_names[k] for k in columns)
        self.units = torch.from_numpy(faces.units[:, columns] / STRONGEST).to(self.device)
        landmarks = torch.from_numpy(faces.landmarks)
        self.face = mean_face(landmarks)
        self.places = places(self.face, landmarks).to(self.device)
        with self.random(-1):
            generator = EditGenerator(len(columns), s.width)
            critic = UnitCritic(len(columns), s.size, s.critic)
        for network in (generator, critic):
            network.scale.middle.copy_(self.units.mean(0))
            network.scale.spread.copy_(self.units.std(0))
        self.add("generator", generator, self._adam(s.rate), averaged=True, methods=("there_and_back",))
        self.add("critic", critic, self._adam(s.critic_rate), methods=("compare",))

    def _adam(self, rate: float):
        betas = self.settings.beta1, self.settings.beta2
        return lambda parameters: torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)

    def batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures (N + M, 3, S, S), half of them mirrored, the places of their faces, their units, and those (N, K)
        that N of them should get.
        """
        s = self.settings
        drawn = self.faces.pairs(self.step, 2 * s.batch + s.more, s.seed, 1)[:, 0]
        parts = np.split(drawn, [s.batch, 2 * s.batch])
        rows, others, more = (self.share(part) for part in parts)
        rows = np.concatenate([rows, more])
        real, found = self.faces.pictures(rows).to(self.device), self.places[rows]
        turned = torch.rand(len(real), device=self.device) < 0.5
        real = torch.where(turned[:, None, None, None], real.flip(-1), real)
        found = torch.where(turned[:, None, None], mirrored(found), found)
        wanted = self.units[others]
        wanted = wanted + s.noise * (2 * torch.rand_like(wanted) - 1)
        return real, found, self.units[rows], wanted

    def losses(self) -> dict[str, Tensor]:
        real, found, own, wanted = self.batch()
        if self.step < self.settings.units_first:
            return self._read(cut(real, found), own)
        values = self._criticise(real, found, own, wanted)
        if (self.step + 1) % self.settings.critic_steps == 0:
            values |= self._edit(real[: len(wanted)], found[: len(wanted)], own[: len(wanted)], wanted)
        return values

    def missed(self, read: Tensor, wanted: Tensor) -> Tensor:
        """The mean squared error of units, each in its own standard deviations."""
        return ((read - wanted) / self.modules["critic"].scale.spread).square().mean()

    def _read(self, patches: Tensor, own: Tensor) -> dict[str, Tensor]:
        """The critic's step on units alone; its scores are held near zero meanwhile."""
        scores, found = self.networks["critic"](patches)
        values = {"units-real": self.missed(found, own)}
        self.update("critic", self.settings.units * values["units-real"] + DRIFT * scores.square().mean())
        return values

    def _criticise(self, pictures: Tensor, found: Tensor, own: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        s, count = self.settings, len(wanted)
        with torch.no_grad():
            made = self.networks["generator"](pictures[:count], wanted).picture
        patches = cut(torch.cat([made, pictures]), found[[*range(count), *range(len(found))]])
        made, real, more = patches.split([count, count, len(pictures) - count])
        on_real, on_made, penalty, read = self.networks["critic"].compare(real, made, more)
        values = {
            "distance": on_real.mean() - on_made.mean(),
            "penalty": penalty,
            "units-real": self.missed(read, own),
        }
        self.update("critic", s.penalty * values["penalty"] + s.units * values["units-real"] - values["distance"])
        return values

    def _edit(self, real: Tensor, found: Tensor, own: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        s = self.settings
        there, back = self.networks["generator"].there_and_back(real, wanted, own)
        scores, read = self.networks["critic"](cut(there.picture, found))
        values = {
            "units-made": self.missed(read, wanted),
            "cycle": l1(back.picture, real),
            "open": 1 - (there.kept.mean() + back.kept.mean()) / 2,
            "smooth": total_variation(there.kept) + total_variation(back.kept),
        }
        total = sum(w * values[name] for name, w in (("cycle", s.cycle), ("smooth", s.smooth), ("units-made", s.units)))
        self.update("generator", total + 2 * s.open * values["open"] - scores.mean())
        return values

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: faces, the same with one of the units at its strongest, what is kept of them."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed, 1)[:, 0]
        real, wanted = self.faces.pictures(rows).to(self.device), self.units[rows].clone()
        for k in range(len(rows)):
            wanted[k, k % wanted.shape[1]] = self.units[:, k % wanted.shape[1]].max()
        with self.fabric.autocast():
            made = self.averages["generator"](real, wanted)
        sheet = [to_pixels(p) for p in (real, made.picture, 2 * made.kept.expand_as(real) - 1)]
        return np.concatenate([np.concatenate(list(row), 1) for row in sheet])

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"generator.{k}": v for k, v in self.averages["generator"].state_dict().items()}
        tensors |= {f"critic.{k}": v for k, v in self.modules["critic"].state_dict().items()}
        tensors["face"], s = self.face, self.settings
        return tensors, {"size": s.size, "width": s.width, "critic": s.critic, "units": self.names}
