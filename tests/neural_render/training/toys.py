"""A training small enough to follow by hand: y = w x fitted to 2 x, with a batch norm where asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from neural_render.networks import SharedBatchNorm2d
from neural_render.training import BaseTrainer, make_fabric, order


@dataclass(frozen=True)
class ToySettings:
    seed: int = 0
    batch: int = 4
    ema: float = 0.9
    clip: float = 0.0
    rate: float = 0.1
    normed: bool = False
    double: bool = True


class Line(BaseTrainer):
    """Plain gradient descent on the mean square of (w - 2) x over numbers 1 to 12."""

    watched = ("square",)

    def __init__(self, settings: ToySettings = ToySettings(), fabric=None) -> None:  # noqa: B008
        super().__init__(settings, fabric or make_fabric("cpu"))
        self.data = torch.arange(1.0, 13.0, dtype=torch.float64 if settings.double else torch.float32) / 4
        with self.random(-1):
            layers: list[nn.Module] = [nn.Conv2d(1, 1, 1, bias=False)]
            if settings.normed:
                layers += [SharedBatchNorm2d(1), nn.Conv2d(1, 1, 1)]
        net = nn.Sequential(*layers).to(self.data.dtype)
        nn.init.ones_(net[0].weight)
        self.add("line", net, lambda p: torch.optim.SGD(p, settings.rate, momentum=0.5), averaged=True)
        self.scripted: dict[int, float] = {}

    @property
    def w(self) -> float:
        return self.modules["line"][0].weight.item()

    def losses(self):
        chosen = self.share(order(self.step, self.settings.batch, len(self.data), self.settings.seed))
        x = self.data[torch.from_numpy(chosen)].reshape(-1, 1, 1, 1)
        loss = (self.networks["line"](x) - 2 * x).square().mean()
        self.update("line", loss)
        return {"square": loss}

    def score(self):
        return self.scripted.get(self.step)

    def sheet(self):
        return np.full((8, 8, 3), (255, 0, 0), np.uint8)
