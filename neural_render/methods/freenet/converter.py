"""FReeNet's unified landmark converter, and the two networks that judge what it gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def layers(*widths: int, last: bool = False) -> nn.Sequential:
    """Linear layers of these widths with leaky ReLU 0.2 between them, and after the last one where ``last`` says so."""
    found: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:]):
        found += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*(found if last else found[:-1]))


class LandmarkConverter(nn.Module):
    """Somebody's landmarks (N, P, 2) with somebody else's expression and pose (Zhang et al., CVPR 2020, Sec. 3.2).

    Two encoders of six layers, one of the driver's landmarks, one of the person's own in another picture, whose codes
    together give what those move by. Where this departs from the paper: beside them is a linear map, begun as the
    least squares of pairs (``begin``), and the deep part learns from zero what that leaves. Without it the networks
    take thousands of steps to learn as much as to hand the driver's points on.
    """

    def __init__(self, points: int, width: int = 512) -> None:
        super().__init__()
        self.of_driver = layers(2 * points, *[width] * 6, last=True)
        self.of_person = layers(2 * points, *[width] * 6, last=True)
        self.to_offsets = layers(2 * width, 2 * width, width, 2 * points)
        self.straight = nn.Linear(4 * points, 2 * points)
        nn.init.zeros_(self.to_offsets[-1].weight)
        nn.init.zeros_(self.to_offsets[-1].bias)
        eye = torch.eye(2 * points)
        with torch.no_grad():  # the driver's points
            self.straight.weight.copy_(torch.cat([eye, -eye], 1))
            self.straight.bias.zero_()

    @torch.no_grad()
    def begin(self, driver: Tensor, person: Tensor, wanted: Tensor, ridge: float = 1e-4) -> None:
        """The linear map of least squares from landmarks (N, P, 2) of pairs to those wanted of the person.

        ridge: weight of what it does to the driver's points, each coordinate in its standard deviations.
        """
        x = torch.cat([driver.flatten(1), person.flatten(1)], 1).double()
        y = (wanted - driver).flatten(1).double()
        mean, std = x.mean(0), x.std(0).clamp_min(1e-6)
        z = (x - mean) / std
        slope = torch.linalg.solve(z.T @ z / len(z) + ridge * torch.eye(z.shape[1]).to(z), z.T @ (y - y.mean(0)) / len(z))
        slope = slope / std[:, None]
        self.straight.weight += slope.T
        self.straight.bias += y.mean(0) - mean @ slope

    def forward(self, driver: Tensor, person: Tensor) -> Tensor:
        driver, own = driver.flatten(1), person.flatten(1)
        offsets = self.to_offsets(torch.cat([self.of_driver(driver), self.of_person(own)], 1))
        return person + (offsets + self.straight(torch.cat([driver, own], 1))).view_as(person)


class LandmarkJudge(nn.Module):
    """Whether landmarks (N, P, 2) are a face's: logits (N, 1); and whether two are one person's: logits (N, 1)."""

    def __init__(self, points: int, width: int = 512) -> None:
        super().__init__()
        self.realness = layers(2 * points, *[width] * 4, 64, 1)
        self.of_one, self.of_other = (layers(2 * points, width, width, 64, last=True) for _ in range(2))
        self.likeness = layers(128, 32, 1)

    def forward(self, landmarks: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        pair = torch.cat([self.of_one(landmarks.flatten(1)), self.of_other(other.flatten(1))], 1)
        return self.realness(landmarks.flatten(1)), self.likeness(pair)
