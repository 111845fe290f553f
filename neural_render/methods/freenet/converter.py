"""FReeNet's unified landmark converter, and the two networks that judge what it gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural_render.methods.common.linear_map import linear_map

REACH = 0.1  # of a head's unit, by which the networks' 1 moves a point: a step of Adam's is not to move it further


def layers(*widths: int, last: bool = False) -> nn.Sequential:
    """Linear layers of these widths with leaky ReLU 0.2 between them, and after the last one where ``last`` says so."""
    found: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:]):
        found += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*(found if last else found[:-1]))


class LandmarkConverter(nn.Module):
    """Somebody's heads (N, P, 3), as `HeadFrame` has them, with somebody else's expression.

    Two encoders of six layers, one of the driver's landmarks, one of the person's own in another picture, whose codes
    together give what those move by (Zhang et al., CVPR 2020, Sec. 3.2). Where this departs from the paper: landmarks
    are without the head's pose, which nobody has to learn then; and beside the networks is a linear map, begun as the
    least squares of pairs (``begin``), so that they learn from zero what that leaves. As coordinates of the picture it
    takes networks thousands of steps to hand the driver's points on.
    """

    def __init__(self, shape: Tensor, width: int = 512) -> None:  # shape: (P, 3), what heads are counted from
        super().__init__()
        points = len(shape)
        self.register_buffer("shape", shape.clone(), persistent=False)
        self.of_driver = layers(3 * points, *[width] * 6, last=True)
        self.of_person = layers(3 * points, *[width] * 6, last=True)
        self.to_offsets = layers(2 * width, 2 * width, width, 3 * points)
        self.straight = nn.Linear(6 * points, 3 * points)
        nn.init.zeros_(self.to_offsets[-1].weight)
        nn.init.zeros_(self.to_offsets[-1].bias)
        eye = torch.eye(3 * points)
        with torch.no_grad():  # the driver's points
            self.straight.weight.copy_(torch.cat([eye, -eye], 1))
            self.straight.bias.zero_()

    @torch.no_grad()
    def begin(self, driver: Tensor, person: Tensor, wanted: Tensor, ridge: float = 1e-2) -> None:
        """The linear map of least squares from heads (N, P, 3) of pairs to those wanted of the person.

        ridge: weight of what it does to the driver's points, each coordinate in its standard deviations.
        """
        x = torch.cat([(driver - self.shape).flatten(1), (person - self.shape).flatten(1)], 1).double()
        found = linear_map(x, (wanted - driver).flatten(1).double(), ridge).to(self.straight.weight)
        self.straight.weight += found[:-1].T
        self.straight.bias += found[-1]

    def forward(self, driver: Tensor, person: Tensor) -> Tensor:
        x, own = (driver - self.shape).flatten(1), (person - self.shape).flatten(1)
        offsets = REACH * self.to_offsets(torch.cat([self.of_driver(x), self.of_person(own)], 1))
        return person + (offsets + self.straight(torch.cat([x, own], 1))).view_as(person)


class LandmarkJudge(nn.Module):
    """Whether heads (N, P, 3) are people's: logits (N, 1); and whether two are one person's: logits (N, 1)."""

    def __init__(self, points: int, width: int = 512) -> None:
        super().__init__()
        self.realness = layers(3 * points, *[width] * 4, 64, 1)
        self.of_one, self.of_other = (layers(3 * points, width, width, 64, last=True) for _ in range(2))
        self.likeness = layers(128, 32, 1)

    def forward(self, heads: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        pair = torch.cat([self.of_one(heads.flatten(1)), self.of_other(other.flatten(1))], 1)
        return self.realness(heads.flatten(1)), self.likeness(pair)
