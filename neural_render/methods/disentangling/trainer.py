"""The training of the disentangling networks: a person's pictures, embedded twice, have to give another one of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.losses.adversarial import adversarial
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.losses.terms import l1, pyramid_l1, total_variation
from neural_render.methods.common.people import to_pixels
from neural_render.methods.disentangling.networks import DeformingNetworks, DisentanglingNetworks
from neural_render.methods.disentangling.settings import Settings
from neural_render.networks import PatchDiscriminator, warp
from neural_render.networks.norms import gathering_statistics
from neural_render.training import BaseTrainer


def deformed(face: Tensor, flows: Sequence[Tensor], frame: Tensor) -> Tensor:
    """Mean over the flows' sizes of L1 between the face, warped, and the frame, and L1's pyramid of the finest."""
    found = []
    for flow in flows:
        shown, wanted = (F.interpolate(x, size=flow.shape[1:3], mode="area") for x in (face, frame))
        found.append(l1(warp(shown, flow), wanted))
    return sum(found) / len(found) + pyramid_l1(warp(face, flows[-1]), frame)


class Trainer(BaseTrainer):
    """The deforming networks on pictures of one clip; after a while a generator learns from what they give.

    The face that a pose is told against is embedded from other pictures than the face that is posed, as it is of
    another person when one drives another. Deforming is learnt without the generator, whose pictures have no use for
    flows that are far off, and which would paint what flows should carry.
    """

    watched = ("warped",)
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces = settings, faces
        self.objective = Objective(s.losses, {"vgg": s.vgg}, self.device, given=("on_made", "on_real"))
        self.adversarial = adversarial()
        self.discriminated = self.objective.needing("on_made")
        self.direct = [name for name in self.objective.terms if name not in self.discriminated]
        with self.random(-1):
            networks, discriminator = DisentanglingNetworks(s.size, s.width), PatchDiscriminator(3, 3, s.width)
        deforming = DeformingNetworks(s.size, s.width)
        deforming.embedder, deforming.pose = networks.embedder, networks.pose
        self.add("deforming", deforming, lambda p: self._adam(p, s.rate), averaged=True)
        self.add("generator", networks.generator, lambda p: self._adam(p, s.rate), averaged=True)
        self.add("discriminator", discriminator, lambda p: self._adam(p, s.rate_discriminator), methods=("compare",))

    def _adam(self, parameters, rate: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, rate, (self.settings.beta1, self.settings.beta2), fused=True)

    def pictures(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """This process's sources and others (N, K, 3, S, S) and frames (N, 3, S, S) of a step, a line of one clip."""
        s = self.settings
        count = 1 + step % s.sources
        rows = self.share(self.faces.pairs(step, s.batch, s.seed, 1 + 2 * count))
        frame, sources, others = self.faces.pictures(rows).to(self.device).split([1, count, count], 1)
        return sources, others, frame[:, 0]

    def losses(self) -> dict[str, Tensor]:
        s = self.settings
        sources, others, frame = self.pictures(self.step)
        self.modules["deforming"].train()
        face, other, flows = self.networks["deforming"](sources, others, frame)
        values = {
            "warped": deformed(face, flows, frame),
            "embedded": l1(face, other),
            "smooth": total_variation(flows[-1].movedim(-1, 1)) / s.size**2,
        }
        self.update("deforming", values["warped"] + s.embedded * values["embedded"] + s.smooth * values["smooth"])
        if self.step >= s.generator_after:
            values |= self._paint(face.detach(), [flow.detach() for flow in flows], frame)
        return values

    def _paint(self, face: Tensor, flows: Sequence[Tensor], frame: Tensor) -> dict[str, Tensor]:
        """The generator's step, from what the deforming networks gave."""
        made, _ = self.networks["generator"](face, flows)
        total, values = self.objective(Context(made, frame), self.direct)
        if self.discriminated and self.step >= self.settings.adversarial_after:
            direction, judged = self._discriminate(face, made.detach(), frame)
            total, values = total + (made * direction).sum(), values | judged
        self.update("generator", total)
        return values

    def _discriminate(self, face: Tensor, made: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Trains the discriminator; the gradient in ``made`` of the losses that look at it, and the losses."""
        made = made.requires_grad_()
        with self.fabric.autocast():
            on_made, on_real = self.networks["discriminator"].compare(face, made, real)
        total, values = self.objective(
            Context(made, real, {"on_made": on_made, "on_real": on_real}), self.discriminated
        )
        self.fabric.backward(total, inputs=[made], retain_graph=True)
        values["discriminator"] = self.adversarial.discriminator(on_real[-1], on_made[-1])
        self.update("discriminator", values["discriminator"])
        return made.grad, values

    @torch.no_grad()
    def final(self, batches: int = 24) -> DisentanglingNetworks:
        """The averaged networks, whose normalisation knows their own statistics."""
        networks = DisentanglingNetworks(self.settings.size, self.settings.width).to(self.device)
        averages = copy.deepcopy(self.averages["deforming"]), self.averages["generator"]
        with gathering_statistics(averages[0]), self.fabric.autocast():
            for step in range(batches):
                averages[0](*self.pictures(step))
        networks.embedder, networks.pose, networks.generator = averages[0].embedder, averages[0].pose, averages[1]
        return networks.eval()

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"networks.{k}": v for k, v in self.final().state_dict().items()}
        return tensors, {"size": self.settings.size, "width": self.settings.width}

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: a source, its embedded face, a frame, the source so, and as the next column's person has it."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed, 5)
        shown = self.faces.pictures(rows).to(self.device)
        sources, others, frame = shown[:, 1:3], shown[:, 3:], shown[:, 0]
        networks = self.final(4)
        face, _, flows = networks(sources, others, frame)
        _, _, crossed = networks(sources, others.roll(1, 0), frame.roll(1, 0))
        parts = (sources[:, 0], face, frame, networks.generator(face, flows)[0], networks.generator(face, crossed)[0])
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])
