"""Identity-invariant motion's training: pictures from other people's landmarks, codes that tell nobody who it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.errors import PortraitError
from neural_render.corpus import Faces
from neural_render.losses.adversarial import adversarial
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.losses.terms import feature_matching
from neural_render.methods.common.people import to_pixels
from neural_render.methods.invariant_motion.networks import Judges, MotionNetworks, PeopleClassifier
from neural_render.methods.invariant_motion.sampling import Sequences, moments, of_clips, sequences
from neural_render.methods.invariant_motion.settings import Settings
from neural_render.training import BaseTrainer


def anonymity(logits: Tensor) -> Tensor:
    """How far guesses of people (..., people) are from knowing nothing: the divergence of the even guess from them."""
    return -F.log_softmax(logits, -1).mean() - float(np.log(logits.shape[-1]))


def told_apart(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each moment of a (N, M) among those of b (N, M), and back, by cosine.

    van den Oord et al., "Representation learning with contrastive predictive coding", 2018, Eq. 4.
    """
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / temperature
    right = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def compared(made: Tensor, real: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Those of made and real (N, ...) whose truth is known (N,); made beside itself where none is, which is off by 0.

    A process may get a share of a batch of which nothing is known, and its losses are averaged with the others'.
    """
    return (made[known], real[known]) if known.any() else (made, made.detach())


class Trainer(BaseTrainer):
    """See the module."""

    watched = ("l1",)
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces = settings, faces
        if np.bincount(faces.clip).max() < s.frames:
            raise PortraitError(
                f"clips: expected at least one of {s.frames} frames with a face, found none; train on longer clips"
            )
        self.landmarks = torch.from_numpy(faces.landmarks).to(self.device)
        self.people = torch.from_numpy(faces.person).to(self.device)
        self.objective = Objective(s.losses, {"vgg": s.vgg}, self.device)
        self.adversarial = adversarial("least-squares")
        with self.random(-1):
            networks = MotionNetworks(faces.landmarks.shape[1], s.width, s.motion)
            judges = Judges(s.frames, s.width, temporal=s.temporal)
            classifier = PeopleClassifier(s.motion, len(faces.people))
        networks.motion.learn_scale(torch.from_numpy(faces.landmarks))
        self.add("networks", networks, lambda p: self._adam(p, s.rate), averaged=True)
        self.add("judges", judges, lambda p: self._adam(p, s.rate_discriminators), methods=("compare",))
        self.add("classifier", classifier, lambda p: self._adam(p, s.rate))

    def _adam(self, parameters: Iterator[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        s = self.settings
        return torch.optim.Adam(parameters, rate, (s.beta1, s.beta2), fused=True)

    def batch(self) -> tuple[Sequences, np.ndarray, np.ndarray, np.ndarray]:
        """This process's sequences with pictures; and those of landmarks alone.

        (B, 2 T) with others' beside them, (B,) whether those did the same, (B,) another frame of the first.
        """
        s, faces, share = self.settings, self.faces, self.share
        drawn = sequences(faces, self.step, s.batch, s.frames, s.seed)
        drawn = Sequences(*(share(rows) for rows in vars(drawn).values()))
        wide = faces.successive(self.step, s.wide, s.seed + 1, s.frames)
        others, same = moments(faces, wide, self.step, s.seed + 1)
        still = of_clips(faces, faces.clip[wide[:, 0]], 1, np.random.default_rng([s.seed, self.step, 5]))
        return drawn, share(np.concatenate([wide, others], 1)), share(same), share(still[:, 0])

    def losses(self) -> dict[str, Tensor]:
        s, (drawn, wide, same, still) = self.settings, self.batch()
        picture = lambda rows: self.faces.pictures(rows).to(self.device)  # noqa: E731
        target, real = picture(drawn.target), picture(drawn.shown)
        both, mark = torch.from_numpy(wide).unflatten(1, (2, -1)), self.landmarks
        made, there, codes = self.networks["networks"](
            target, mark[drawn.target], mark[drawn.driver], mark[both], mark[still]
        )
        made, codes = made.float(), codes.float()
        values = {"people": self._learn_people(codes.detach(), both)}
        strayed = (there - mark[both[:, :1]]).abs()
        values["landmarks"] = strayed.sum() / max(strayed.numel(), 1)  # a process's share may be empty
        total = s.landmarks * values["landmarks"]
        known = torch.from_numpy(drawn.known)
        pictures = (part.flatten(0, 1) for part in compared(made, real, known))
        apart, seen = self.objective(Context(*pictures))
        total, values = total + apart, values | seen
        values["anonymous"] = anonymity(self.networks["classifier"](codes))
        total = total + s.anonymous * values["anonymous"]
        # Of each sequence one moment, so that no two are nearly the same.
        when = torch.randint(s.frames, (len(same),))
        one, other = codes.unbind(1)
        one, other = (c[torch.arange(len(c)), when][torch.from_numpy(same)] for c in (one, other))
        values["alike"] = told_apart(one, other, s.temperature) if len(one) else codes.sum() * 0
        total = total + s.alike * values["alike"]
        if self.step >= s.adversarial_after:
            direction, others = self._judge(made.detach(), real, known, target, picture(drawn.same))
            total, values = total + (made * direction).sum(), {**values, **others}
        self.update("networks", total)
        return values

    def _learn_people(self, codes: Tensor, rows: Tensor) -> Tensor:
        """The classifier's step on motion codes (..., M) of rows (...); its loss."""
        loss = F.cross_entropy(self.networks["classifier"](codes).flatten(0, -2), self.people[rows].flatten())
        self.update("classifier", loss)
        return loss

    def _judge(
        self, made: Tensor, real: Tensor, known: Tensor, target: Tensor, same: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Trains the judges; the gradient in ``made`` of what they say of it, and the losses.

        real: true sequences, those that should have been made where ``known`` (N,).
        """
        made, pair, s = made.requires_grad_(), self.adversarial, self.settings
        with self.fabric.autocast():
            found, features = self.networks["judges"].compare(made, real, target, same, target.roll(1, 0))
        values = {name: pair.generator(on_made) for name, (_, _, on_made) in found.items()}
        total = s.adversarial * sum(values.values())
        if s.temporal:
            pairs = [compared(of_made, of_real, known) for of_made, of_real in zip(*features, strict=True)]
            values["changes"] = feature_matching(*zip(*pairs))
            total = total + s.matching * values["changes"]
        self.fabric.backward(total, inputs=[made], retain_graph=True)
        own = sum(pair.discriminator(on_real, on_fake) for on_real, on_fake, _ in found.values())
        self.update("judges", own)
        return made.grad, {**values, "judges": own.detach()}

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: targets, drivers' frames, the targets so."""
        drawn = sequences(self.faces, 0, self.shown, self.settings.frames, self.settings.seed)
        driver, target = self.faces.pictures(drawn.driver[:, -1]), self.faces.pictures(drawn.target).to(self.device)
        networks, points = self.averages["networks"], self.landmarks[drawn.target]
        with self.fabric.autocast():
            own, wanted = networks.motion(points[:, None])[:, 0], networks.motion(self.landmarks[drawn.driver])
            made = networks.drawn(target, points, own, wanted)
        parts = (target, driver, made[:, -1])
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        s = self.settings
        tensors = {f"networks.{k}": v for k, v in self.averages["networks"].state_dict().items()}
        own = {"size": s.size, "width": s.width, "motion": s.motion, "scheme": self.faces.scheme}
        return tensors, own | {"points": self.faces.landmarks.shape[1]}
