"""What both of ReenactGAN's trainings do to the transformer, and the first of them, on a corpus of many people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.losses.adversarial import adversarial
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.partners import partners
from neural_render.methods.common.people import to_pixels
from neural_render.methods.reenactgan.boundaries import Boundaries, components, jittered
from neural_render.methods.reenactgan.networks import Aligner, BoundaryEncoder, Judge, Transformer
from neural_render.methods.reenactgan.settings import Settings
from neural_render.training import BaseTrainer

ON_LINES = 20.0  # how much more a line's pixel counts than the many beside them
BANK = 2048  # landmarks of the corpus that a person's training gets, at most


def missed(maps: Tensor, real: Tensor) -> Tensor:
    """(N,): the mean squared difference of boundaries, in which lines count more than what is beside them."""
    return ((maps - real).square() * (1 + ON_LINES * real)).mean((1, 2, 3))


class TransformerTrainer(BaseTrainer):
    """The transformer and its judge, between people who are drawn by chance (Wu et al., Sec. 3.3 and 3.4).

    Subclasses have ``aligner``, boundaries to points, and ``axes`` (C, P, 2) of the shape loss.
    """

    aligner: torch.nn.Module
    axes: Tensor

    def __init__(self, settings: Settings, contours: Contours, fabric) -> None:
        super().__init__(settings, fabric)
        self.contours, self.boundaries = contours, Boundaries(contours, settings.side)
        self.adversarial = adversarial("least-squares")
        lines = len(contours.lines)
        with self.random(-1):
            transformer, judge = Transformer(lines, settings.width), Judge(lines, settings.width)
        self.add("transformer", transformer, self._adam(settings.transformer_rate), averaged=True)
        self.add("judge", judge, self._adam(settings.judge_rate, weight_decay=1e-4))

    @staticmethod
    def _adam(rate: float, beta: float = 0.5, **others):
        return lambda parameters: torch.optim.Adam(parameters, rate, (beta, 0.999), fused=True, **others)

    def transform(
        self, points: Tensor, own: Tensor, wanted: Tensor, whose: Tensor, paired: Tensor | None = None
    ) -> dict[str, Tensor]:
        """A step, on boundaries of points (N, P, 2) that become other people's, and back.

        own, whose: resting boundaries (N, K, H, H) of the people that points and wanted (N, P, 2) are of. paired: (N,)
        bool, where they do the same, so that the ones are the truth for the others.
        """
        s, draw = self.settings, np.random.default_rng([self.settings.seed, self.step, self.fabric.global_rank])
        both = jittered(torch.cat([points, wanted], 1), s, draw).chunk(2, 1)
        maps, real = (self.boundaries.drawn(p).to(self.device) for p in both)
        transformer, judge = self.networks["transformer"], self.networks["judge"]
        made = transformer(maps, whose)
        self.update("judge", self.adversarial.discriminator(judge(real, whose), judge(made.detach(), whose)))
        values = {
            "adversarial": self.adversarial.generator(judge(made, whose)),
            "cycle": F.l1_loss(transformer(made, own), maps),
            "shape": F.l1_loss(self.shape(made), self.shape(maps).detach()),
        }
        total = values["adversarial"] + s.cycle * values["cycle"] + s.shape * values["shape"]
        if paired is not None:
            values["truth"] = (missed(made, real) * paired.to(made)).mean()
            total = total + s.truth * values["truth"]
        self.update("transformer", total)
        return values

    def shape(self, maps: Tensor) -> Tensor:
        """(N, C): the components of the points that boundaries go through."""
        return self.aligner(maps).flatten(1) @ self.axes.flatten(1).T


class CorpusTrainer(TransformerTrainer):
    """The boundary encoder, the aligner, and the transformer between all people of the corpus."""

    watched = ("encoder",)
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, Contours.of(faces.scheme), fabric)
        s, self.faces = settings, faces
        self.landmarks = torch.from_numpy(self.contours.pick(faces.landmarks))
        self.axes = components(self.landmarks)[1].to(self.device)
        self.resting = self.boundaries.resting(self.landmarks, torch.from_numpy(faces.person))
        lines, points = len(self.contours.lines), len(self.contours.points)
        with self.random(-1):
            encoder, aligner = BoundaryEncoder(lines, s.size, s.side, s.width), Aligner(lines, points, s.side)
        self.add("encoder", encoder, self._adam(s.encoder_rate, 0.9, weight_decay=1e-5))
        self.aligner = self.add("aligner", aligner, self._adam(s.encoder_rate, 0.9))

    def losses(self) -> dict[str, Tensor]:
        s, people = self.settings, self.faces.person
        rows = self.share(self.faces.pairs(self.step, s.batch, s.seed, 1)[:, 0])
        others, paired = partners(self.faces, rows, self.step, s.seed)
        own, whose = (self.resting[people[r]].to(self.device) for r in (others, rows))
        points, wanted = (self.landmarks[r] for r in (others, rows))
        return self.encode(rows) | self.transform(points, own, wanted, whose, torch.from_numpy(paired))

    def encode(self, rows: np.ndarray) -> dict[str, Tensor]:
        """A step of the encoder, on the truth of the landmarks' lines, and of the aligner, on both's."""
        points = self.landmarks[rows]
        real = self.boundaries.drawn(points).to(self.device)
        self.modules["encoder"].train()
        found = self.networks["encoder"](self.faces.pictures(rows).to(self.device))
        encoder = sum(missed(maps, real).mean() for maps in found)
        self.update("encoder", encoder)
        both = torch.cat([found[-1].detach().clamp(0, 1), real])
        aligner = F.l1_loss(self.networks["aligner"](both), points.to(self.device).repeat(2, 1, 1))
        self.update("aligner", aligner)
        return {"encoder": encoder, "aligner": aligner}

    def weights(self) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
        """Of the weights file: the networks, and landmarks of the corpus, from which a person's training learns."""
        s, faces = self.settings, self.faces
        chosen = np.unique(np.linspace(0, len(faces) - 1, min(BANK, len(faces))).round().astype(int))
        people = np.unique(faces.person[chosen], return_inverse=True)[1]
        parts = {n: self.modules[n] for n in ("encoder", "aligner", "judge")} | self.averages
        tensors = {f"{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}
        tensors |= {"axes": self.axes, "bank.points": self.landmarks[chosen], "bank.people": torch.from_numpy(people)}
        return tensors, {"size": s.size, "width": s.width, "scheme": self.contours.scheme, "target": ""}

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: pictures, their boundaries as found and as they are, and as the next column's person has them."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed, 1)[:, 0]
        pictures, people = self.faces.pictures(rows).to(self.device), self.faces.person[rows]
        found = self.modules["encoder"].eval().boundary(pictures)
        true = self.boundaries.drawn(self.landmarks[rows]).to(self.device)
        made = self.averages["transformer"](found, self.resting[np.roll(people, 1)].to(self.device))
        parts = (pictures, *(shown(maps, self.settings.size) for maps in (found, true, made)))
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])


def shown(maps: Tensor, size: int) -> Tensor:
    """(N, 3, size, size) in [-1, 1]: a boundary's lines in one picture."""
    return 2 * F.interpolate(maps.amax(1, keepdim=True), size=size).expand(-1, 3, -1, -1) - 1
