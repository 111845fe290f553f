"""ReenactGAN's training for a person: the transformer from everybody to them, and the decoder to their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.losses.perceptual import Perceptual, available
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.people import to_pixels
from neural_render.methods.reenactgan.boundaries import jittered
from neural_render.methods.reenactgan.networks import Aligner, BoundaryEncoder, Decoder
from neural_render.methods.reenactgan.settings import Settings
from neural_render.methods.reenactgan.trainer import Boundary, TransformerTrainer, shown
from neural_render.methods.weights import Weights, load_network
from neural_render.networks import PatchDiscriminator
from neural_render.training import order


class PersonTrainer(TransformerTrainer):
    """Goes on from weights of many people, with pictures of one (Wu et al., Sec. 3.3 and 3.5)."""

    watched = ("l1",)
    pace = 0.1  # what many people's pairs taught isn't to be forgotten over one who has none
    columns = 6  # of a sheet

    def __init__(self, settings: Settings, weights: Weights, faces: Faces, fabric) -> None:
        contours = Contours.of(weights.header.scheme)
        super().__init__(settings, contours, fabric)
        s, self.faces = settings, faces
        lines, points = len(contours.lines), len(contours.points)
        encoder, aligner = BoundaryEncoder(lines, s.size, s.side, s.width), Aligner(lines, points, s.side)
        self.encoder = load_network(encoder, weights, "encoder", self.device)
        self.aligner = load_network(aligner, weights, "aligner", self.device)
        for name in ("transformer", "judge"):
            load_network(self.modules[name], weights, name, self.device).requires_grad_(True).train()
        self.averages["transformer"].load_state_dict(self.modules["transformer"].state_dict())
        self.axes = weights.tensors["axes"].to(self.device)
        self.bank, self.bank_people = weights.tensors["bank.points"], weights.tensors["bank.people"]
        self.landmarks = torch.from_numpy(contours.pick(faces.landmarks))
        self.others = self.boundaries.resting(self.bank, self.bank_people)
        self.resting = self.boundaries.resting(self.landmarks, torch.zeros(len(faces), dtype=torch.long))
        self.perceptual = Perceptual(s.vgg).to(self.device) if s.perceptual and available(s.vgg) else None
        with self.random(-1):
            decoder = Decoder(lines, s.size, s.side, s.width)
            discriminator = PatchDiscriminator(lines, 3, s.width, norm="instance")
        self.add("decoder", decoder, self._adam(s.rate), averaged=True)
        self.add("discriminator", discriminator, self._adam(s.rate), methods=("compare",))

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        mine = self.share(order(self.step, s.batch, len(self.faces), s.seed))
        bank = self.share(order(self.step, s.batch, len(self.bank), s.seed + 1))
        own = partial(self.drawn, self.landmarks[mine], self.resting.expand(len(mine), -1, -1))
        others = partial(self.drawn, self.bank[bank], self.others[self.bank_people[bank]])
        draw = np.random.default_rng([s.seed, self.step, self.fabric.global_rank])
        # From others to the target, in the next step back, and in the one after that nowhere: that has a truth.
        to_own, away = self.step % 3 == 0, self.step % 3 == 1
        given, real = (others(draw), own(draw)) if to_own else (own(draw), others(draw) if away else None)
        paired, real = torch.full((len(mine),), real is None), real or given
        return self.transform(given, real, real.points, paired) | self.decode(mine)

    def drawn(self, points: Tensor, resting: Tensor, draw: np.random.Generator) -> Boundary:
        """Of landmarks (N, P, 2), turned, zoomed and shifted by chance, of people with those at rest."""
        shown = (points := jittered(points, self.settings, draw)), resting
        maps, whose = (self.boundaries.drawn(p) for p in shown)
        return Boundary(*(t.to(self.device) for t in (maps, points, whose, resting)))

    def decode(self, rows: np.ndarray) -> dict[str, Tensor]:
        """A step of the decoder, from what the encoder finds in the person's pictures."""
        s, real = self.settings, self.faces.pictures(rows).to(self.device)
        with torch.no_grad():
            maps = self.encoder.boundary(real)
            condition = F.interpolate(maps, size=s.size, mode="bicubic", align_corners=False)
        made = self.networks["decoder"](maps)
        fake, true = self.networks["discriminator"].compare(condition, made.detach(), real)
        self.update("discriminator", self.adversarial.discriminator(true[-1], fake[-1]))
        on_made = self.networks["discriminator"].compare(condition, made, real)[0][-1]
        values = {"l1": F.l1_loss(made, real), "decoder adversarial": self.adversarial.generator(on_made)}
        total = s.l1 * values["l1"] + values["decoder adversarial"]
        if self.perceptual is not None:
            values["perceptual"] = self.perceptual(made, real)
            total = total + s.perceptual * values["perceptual"]
        self.update("decoder", total)
        return values

    def weights(self) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
        """Of the weights file: what is needed to show the person."""
        s, parts = self.settings, {"encoder": self.encoder, "aligner": self.aligner, **self.averages}
        tensors = {f"{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}
        facts = {"size": s.size, "width": s.width, "scheme": self.contours.scheme, "target": self.faces.people[0]}
        return tensors | {"target": self.boundaries.drawn(self.resting), "target.points": self.resting}, facts

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: boundaries of others, as the target's, and the target with them; the target's own, and with those."""
        count, size = self.columns, self.settings.size
        bank = np.linspace(0, len(self.bank) - 1, count).round().astype(int)
        others = self.boundaries.drawn(self.bank[bank]).to(self.device)
        transformer, decoder = self.averages["transformer"], self.averages["decoder"]
        resting = self.resting.expand(count, -1, -1)
        own = (t.to(self.device) for t in (self.boundaries.drawn(resting), resting))
        made = transformer(others, self.bank[bank].to(self.device), *own).maps
        mine = self.encoder.boundary(self.faces.pictures(order(0, count, len(self.faces), 0)).to(self.device))
        parts = (shown(others, size), shown(made, size), decoder(made), shown(mine, size), decoder(mine))
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])
