"""What both of ReenactGAN's trainings do to the transformer, and the first of them, on a corpus of many people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.corpus.gathering import spread
from neural_render.losses.adversarial import adversarial
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.partners import partners
from neural_render.methods.common.people import to_pixels
from neural_render.methods.reenactgan.boundaries import Boundaries, components
from neural_render.methods.reenactgan.networks import Aligner, BoundaryEncoder, Judge, Moved, Transformer
from neural_render.methods.reenactgan.settings import Settings
from neural_render.training import BaseTrainer

ON_LINES = 20.0  # how much more a line's pixel counts than the many beside them
SHAPED = 2.0  # how much the shape of moved points counts beside their places
DRAWN = 1024  # faces, at most, from whose lines the aligner begins
BANK = 2048  # landmarks of the corpus that a person's training gets, at most


def missed(maps: Tensor, real: Tensor) -> Tensor:
    """(N,): the mean squared difference of boundaries, in which lines count more than what is beside them."""
    return ((maps - real).square() * (1 + ON_LINES * real)).mean((1, 2, 3))


def apart(found: Tensor, wanted: Tensor) -> Tensor:
    """(N,): mean absolute differences of points (N, P, 2), and `SHAPED` times those of the shapes alone.

    Shapes are compared once each face is moved, turned and scaled onto the wanted one, by least squares: where in the
    crop somebody else would be isn't to be known, and is most of what is missed.
    """
    a, b = (torch.view_as_complex((p - p.mean(1, keepdim=True)).contiguous()) for p in (found, wanted))
    turn = (a.conj() * b).sum(1, keepdim=True) / a.abs().square().sum(1, keepdim=True).clamp_min(1e-9)
    shape = torch.view_as_real(turn * a - b).abs()
    return (found - wanted).abs().mean((1, 2)) + SHAPED * shape.mean((1, 2))


@dataclass(frozen=True)
class Boundary:
    """Of N faces, with what is known of them."""

    maps: Tensor  # (N, K, H, H)
    points: Tensor  # (N, P, 2) that the lines go through
    whose: Tensor  # (N, K, H, H): of the people that they are of, at rest
    resting: Tensor  # (N, P, 2)

    def become(self, transformer: torch.nn.Module, other: Boundary) -> Moved:
        """As the other one's people have it."""
        return transformer(self.maps, self.points, other.whose, other.resting)


class TransformerTrainer(BaseTrainer):
    """The transformer and its judge, between people who are drawn by chance (Wu et al., Sec. 3.3 and 3.4).

    Subclasses have ``aligner``, boundaries to points, and ``axes`` (C, P, 2) of the shape loss.
    """

    aligner: torch.nn.Module
    axes: Tensor
    pace = 1.0  # times the transformer's rate

    def __init__(self, settings: Settings, contours: Contours, fabric) -> None:
        super().__init__(settings, fabric)
        self.contours, self.boundaries = contours, Boundaries(contours, settings.side)
        self.adversarial = adversarial("least-squares")
        lines = len(contours.lines)
        with self.random(-1):
            transformer = Transformer(lines, len(contours.points), settings.width)
            judge = Judge(lines, settings.width)
        self.add(
            "transformer",
            transformer,
            self._adam(self.pace * settings.transformer_rate),
            averaged=True,
            methods=("moved",),
        )
        self.add("judge", judge, self._adam(settings.judge_rate, weight_decay=1e-4))

    @staticmethod
    def _adam(rate: float, beta: float = 0.5, **others):
        return lambda parameters: torch.optim.Adam(parameters, rate, (beta, 0.999), fused=True, **others)

    def transform(self, given: Boundary, real: Boundary, wanted: Tensor, paired: Tensor) -> dict[str, Tensor]:
        """A step, on boundaries that become other people's, and back.

        paired: (N,) bool, where both do the same, so that the real one is the truth for the other, and wanted (N, P, 2)
        are its points.
        """
        s, known = self.settings, paired.to(self.device, torch.float32)
        transformer, judge = self.networks["transformer"], self.networks["judge"]
        made, points = given.become(transformer, real)
        on_judge = judge(real.maps, real.whose), judge(made.detach(), real.whose)
        self.update("judge", self.adversarial.discriminator(*on_judge))
        values = {
            "adversarial": self.adversarial.generator(judge(made, real.whose)),
            "cycle": F.l1_loss(transformer(made, points, given.whose, given.resting).maps, given.maps),
            "shape": F.l1_loss(self.shape(made), self.shape(given.maps).detach()),
            "truth": ((made - real.maps).abs().mean((1, 2, 3)) * known).mean(),
            "points": ((points - wanted).abs().mean((1, 2)) * known).mean(),
        }
        weights = {"adversarial": 1.0, "cycle": s.cycle, "shape": s.shape, "truth": s.truth, "points": s.points}
        self.update("transformer", sum(weights[name] * value for name, value in values.items()))
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
        self.whose = self.boundaries.drawn(self.resting)
        lines, points = len(self.contours.lines), len(self.contours.points)
        with self.random(-1):
            encoder, aligner = BoundaryEncoder(lines, s.size, s.side, s.width), Aligner(lines, points, s.side)
        self.add("encoder", encoder, self._adam(s.encoder_rate, 0.9, weight_decay=1e-5))
        some = self.landmarks[spread(len(faces), DRAWN)]
        aligner.begin(self.boundaries.drawn(some), some)
        self.aligner = self.add("aligner", aligner, self._adam(s.encoder_rate, 0.9))
        self._begin()

    def _begin(self) -> None:
        """Lets the transformer begin at the least squares of pairs, where the corpus has enough of them."""
        faces, seed, count = self.faces, self.settings.seed, 4 * 4 * len(self.contours.points)
        rows = faces.pairs(0, count, seed, 1)[:, 0]
        others, paired = partners(faces, rows, 0, seed)
        if paired.sum() > count / 4:
            given, wanted = (self.landmarks[r[paired]] for r in (others, rows))
            for network in (self.modules["transformer"], self.averages["transformer"]):
                network.begin(given, self.resting[faces.person[rows[paired]]], wanted)

    def losses(self) -> dict[str, Tensor]:
        s, people = self.settings, self.faces.person
        rows = self.share(self.faces.pairs(self.step, s.batch, s.seed, 1)[:, 0])
        others, paired = partners(self.faces, rows, self.step, s.seed)
        both = np.concatenate([others, rows])
        (maps, points), values = self.encode(both)
        own = (t[people[both]].to(self.device) for t in (self.whose, self.resting))
        given, real = (Boundary(*parts) for parts in zip(*(t.chunk(2) for t in (maps, points, *own))))
        values |= self.move()
        return values | self.transform(given, real, self.landmarks[rows].to(self.device), torch.from_numpy(paired))

    def move(self) -> dict[str, Tensor]:
        """A step of the transformer on pairs' true points alone, of which many cost little."""
        s, faces = self.settings, self.faces
        rows = self.share(faces.pairs(self.step, s.moved, s.seed + 1, 1)[:, 0])
        others, paired = partners(faces, rows, self.step, s.seed + 1)
        given, wanted, resting = self.landmarks[others], self.landmarks[rows], self.resting[faces.person[rows]]
        found = self.networks["transformer"].moved(given.to(self.device), resting.to(self.device))
        known = torch.from_numpy(paired).to(found)
        values = {"moved": (apart(found, wanted.to(self.device)) * known).mean()}
        self.update("transformer", s.points * values["moved"])
        return values

    def encode(self, rows: np.ndarray) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        """A step of the encoder, on the truth of the landmarks' lines, and of the aligner, on both's.

        What they find comes back, maps (N, K, H, H) and points: the transformer learns on what it will be given.
        """
        points = self.landmarks[rows]
        real = self.boundaries.drawn(points).to(self.device)
        self.modules["encoder"].train()
        found = self.networks["encoder"](self.faces.pictures(rows).to(self.device))
        encoder = sum(missed(maps, real).mean() for maps in found)
        self.update("encoder", encoder)
        maps = found[-1].detach().clamp(0, 1)
        aligned = self.networks["aligner"](torch.cat([maps, real]))
        aligner = F.l1_loss(aligned, points.to(self.device).repeat(2, 1, 1))
        self.update("aligner", aligner)
        return (maps, aligned[: len(maps)].detach()), {"encoder": encoder, "aligner": aligner}

    def weights(self) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
        """Of the weights file: the networks, and landmarks of the corpus, from which a person's training learns."""
        s, faces = self.settings, self.faces
        chosen = spread(len(faces), BANK)
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
        other = (t[np.roll(people, 1)].to(self.device) for t in (self.whose, self.resting))
        made = self.averages["transformer"](found, self.aligner(found), *other).maps
        parts = (pictures, *(shown(maps, self.settings.size) for maps in (found, true, made)))
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])


def shown(maps: Tensor, size: int) -> Tensor:
    """(N, 3, size, size) in [-1, 1]: a boundary's lines in one picture."""
    return 2 * F.interpolate(maps.amax(1, keepdim=True), size=size).expand(-1, 3, -1, -1) - 1
