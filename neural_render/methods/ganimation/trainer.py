"""GANimation's training step: a reader of units and a judge of faces teach a generator that edits them."""

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
from neural_render.methods.ganimation.alignment import composed, cut, mean_face, mirrored, places
from neural_render.methods.ganimation.disguise import disguised, shaken
from neural_render.methods.ganimation.networks import Edit, EditGenerator, Judge, UnitCritic
from neural_render.methods.ganimation.settings import Settings
from neural_render.training import BaseTrainer

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
    """See the module. Units are 0 to 1 here, 5 being 1; pictures are patches of crops, see `alignment`."""

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
            reader = UnitCritic(len(columns), s.size, s.critic)
            judge = Judge(s.size, s.critic)
        for network in (generator, reader):
            network.scale.middle.copy_(self.units.mean(0))
            network.scale.spread.copy_(self.units.std(0))
        self.add("generator", generator, self._adam(s.rate), averaged=True, methods=("there_and_back",))
        self.add("reader", reader, self._adam(s.reader_rate))
        self.add("judge", judge, self._adam(s.judge_rate), methods=("compare",))

    def _adam(self, rate: float):
        betas = self.settings.beta1, self.settings.beta2
        return lambda parameters: torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)

    def patches(self, rows: np.ndarray, moved: bool = False) -> Tensor:
        """(N, 3, S, S) of rows, half of them mirrored; a little elsewhere and turned where that is asked for."""
        real, found = self.faces.pictures(rows).to(self.device), self.places[rows]
        turned = torch.rand(len(real), device=self.device) < 0.5
        real = torch.where(turned[:, None, None, None], real.flip(-1), real)
        found = torch.where(turned[:, None, None], mirrored(found), found)
        return cut(real, composed(found, shaken(len(real), self.device)) if moved else found)

    def wanted(self, own: Tensor, others: Tensor) -> Tensor:
        """(N, K) units to ask for of faces with units (N, K): those of others, or some of them alone, with noise."""
        s = self.settings
        some = torch.rand(len(own), 1, device=own.device) < s.some
        share = torch.rand(len(own), 1, device=own.device) * 0.5
        stays = some & (torch.rand_like(own) > share)
        return torch.where(stays, own, others + s.noise * (2 * torch.rand_like(own) - 1))

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        first = self.step < s.units_first
        values = self._read() if first or self.step % s.units_every == 0 else {}
        if first:
            return values
        drawn = self.faces.pairs(self.step, 3 * s.batch, s.seed, 1)[:, 0]
        rows, others, real = (self.share(part) for part in np.split(drawn, 3))
        pictures, own = self.patches(rows), self.units[rows]
        wanted, generator = self.wanted(own, self.units[others]), self.networks["generator"]
        if (self.step + 1) % s.critic_steps:
            with torch.no_grad():
                made = generator(pictures, wanted).picture
            return values | self._judge(made, self.patches(real))
        there, back = generator.there_and_back(pictures, wanted, own)
        values |= self._judge(there.picture.detach(), self.patches(real))
        return values | self._edit(pictures, wanted, there, back)

    def missed(self, read: Tensor, wanted: Tensor) -> Tensor:
        """The mean squared error of units, each in its own standard deviations."""
        return ((read - wanted) / self.modules["reader"].scale.spread).square().mean()

    def _read(self) -> dict[str, Tensor]:
        """The reader's step, on real pictures."""
        s = self.settings
        rows = self.share(self.faces.pairs(self.step, s.more, s.seed + 1, 1)[:, 0])
        found = self.networks["reader"](disguised(self.patches(rows, moved=True)))
        values = {"units-real": self.missed(found, self.units[rows])}
        self.update("reader", values["units-real"])
        return values

    def _judge(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The judge's step, on edited and on other pictures."""
        on_real, on_made, penalty = self.networks["judge"].compare(real, made)
        values = {"distance": on_real.mean() - on_made.mean(), "penalty": penalty}
        self.update("judge", self.settings.penalty * penalty - values["distance"])
        return values

    def _edit(self, real: Tensor, wanted: Tensor, there: Edit, back: Edit) -> dict[str, Tensor]:
        """The generator's step."""
        s = self.settings
        values = {
            "units-made": self.missed(self.networks["reader"](disguised(there.picture.float())), wanted),
            "score": -self.networks["judge"](there.picture).mean(),
            "cycle": l1(back.picture, real),
            "open": 1 - (there.kept.mean() + back.kept.mean()) / 2,
            "smooth": total_variation(there.kept) + total_variation(back.kept),
        }
        weights = {"units-made": s.units, "score": s.score, "cycle": s.cycle, "open": 2 * s.open, "smooth": s.smooth}
        self.update("generator", sum(weights[name] * value for name, value in values.items()))
        return values

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: faces, the same with one of the units that move most at its strongest, what is kept of them."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed, 1)[:, 0]
        real, wanted = cut(self.faces.pictures(rows).to(self.device), self.places[rows]), self.units[rows].clone()
        most = self.units.std(0).argsort(descending=True)
        for k in range(len(rows)):
            unit = most[k % len(most)]
            wanted[k, unit] = self.units[:, unit].max()
        with self.fabric.autocast():
            made = self.averages["generator"](real, wanted)
        sheet = [to_pixels(p) for p in (real, made.picture, 2 * made.kept.expand_as(real) - 1)]
        return np.concatenate([np.concatenate(list(row), 1) for row in sheet])

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"generator.{k}": v for k, v in self.averages["generator"].state_dict().items()}
        tensors |= {f"reader.{k}": v for k, v in self.modules["reader"].state_dict().items()}
        tensors["face"], s = self.face, self.settings
        return tensors, {"size": s.size, "width": s.width, "critic": s.critic, "units": self.names}
