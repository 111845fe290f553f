"""X2Face's training: stage I by pixels, stage II by what VGG sees of a face that somebody else drives."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural_render.corpus import Faces
from neural_render.losses.base import Context
from neural_render.losses.objective import Objective
from neural_render.losses.perceptual import Perceptual
from neural_render.methods.common.people import to_pixels
from neural_render.methods.x2face.codes import Codes, code_names
from neural_render.methods.x2face.network import X2Face
from neural_render.methods.x2face.settings import Settings
from neural_render.networks.norms import gathering_statistics
from neural_render.training import BaseTrainer


class Trainer(BaseTrainer):
    """Both networks at once, on pictures of one clip: some are sources, another the driver and what is wanted."""

    watched = ("l1",)
    shown = 6  # columns of a sheet

    def __init__(self, settings: Settings, faces: Faces, fabric) -> None:
        super().__init__(settings, fabric)
        s, self.faces = settings, faces
        self.objective = Objective(s.losses, {"vgg": s.vgg}, self.device)
        self.vgg = None if s.stage_two_after is None else Perceptual(s.vgg).to(self.device)
        with self.random(-1):
            network = X2Face(s.size, s.width)
        self.add("x2face", network, lambda p: torch.optim.Adam(p, s.rate, fused=True), averaged=True)

    @property
    def second(self) -> bool:
        """Whether this step is stage II's."""
        return self.vgg is not None and self.step >= self.settings.stage_two_after

    def rate(self, name: str) -> float:
        return self.settings.second_rate if self.second else self.settings.rate

    def pictures(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's sources (N, K, 3, S, S) and drivers (N, 3, S, S) of a step, each line of one clip."""
        s = self.settings
        rows = self.share(self.faces.pairs(step, s.batch, s.seed, 2 + step % s.sources))
        shown = self.faces.pictures(rows).to(self.device)
        return shown[:, 1:], shown[:, 0]

    def losses(self) -> dict[str, Tensor]:
        sources, driver = self.pictures(self.step)
        self.modules["x2face"].train()
        # In stage II another clip's picture drives as well, almost always another person's.
        drivers = [driver, driver.roll(1, 0)] if self.second else [driver]
        made = self.networks["x2face"](sources, torch.stack(drivers, 1)).float()
        total, values = self.objective(Context(made[:, 0], driver))
        if self.second:
            content = self._content(made, driver, sources[:, 0])
            total, values = total + self.settings.content * sum(content.values()), values | content
        self.update("x2face", total)
        return values

    def _content(self, made: Tensor, driver: Tensor, source: Tensor) -> dict[str, Tensor]:
        """Of the same person's driver all four layers of VGG, of the other's the deepest alone, against the source."""
        with torch.no_grad():
            of_source = self.vgg.features(source)[-1]
        identity = F.l1_loss(self.vgg.features(made[:, 1])[-1], of_source)
        return {"content": self.vgg(made[:, 0], driver), "identity content": identity}

    @torch.no_grad()
    def final(self, batches: int = 24) -> X2Face:
        """The averaged networks, whose normalisation knows their own statistics."""
        network = copy.deepcopy(self.averages["x2face"])
        with gathering_statistics(network), self.fabric.autocast():
            for step in range(batches):
                sources, driver = self.pictures(step)
                network(sources, driver[:, None])
        return network

    def weights(self) -> tuple[dict[str, Tensor], dict]:
        """Of the weights file: the networks and the codes that drive, see `Codes`."""
        network, s, names = self.final(), self.settings, code_names(self.faces)
        tensors = {f"networks.{k}": v for k, v in network.state_dict().items()}
        if names:
            tensors = tensors | Codes.fitted(network, self.faces, self.device).tensors()
        return tensors, {"size": s.size, "width": s.width, "codes": names}

    @torch.no_grad()
    def sheet(self) -> np.ndarray:
        """Rows: a source, its embedded face, a driver, the source driven by it, and driven by the next column's."""
        rows = self.faces.pairs(0, self.shown, self.settings.seed)
        sources, drivers = self.faces.pictures(rows).to(self.device).unbind(1)
        network = self.final(4)
        face, vector = network.embedder(sources[:, None]).face, network.vector(drivers)
        parts = (sources, face, drivers, network.drive(face, vector), network.drive(face, vector.roll(1, 0)))
        return np.concatenate([np.concatenate(list(to_pixels(part)), 1) for part in parts])
