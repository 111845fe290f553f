"""MarioNETte's landmark transformer: a head of somebody, known from few pictures, with somebody else's expression."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neural_render.methods.common.linear_map import linear_map
from neural_render.networks.encoders import MobileEncoder

COMPONENTS = 8  # of a part's expressions; the paper has 48 in all
FEATURES, HIDDEN = 128, 512  # of a picture, and of the layer that sees it with the landmarks


class LandmarkTransformer(nn.Module):
    """A head (N, P, 3), as `HeadFrame` has it, is mean + identity + expression (Ha et al., AAAI 2020, Sec. 4).

    The expression is what the head differs by from its clip's mean, in components of each part of the face. The
    disentangler reads them from a picture and the head; what is left is the identity.

    Where this departs from the paper: the picture's features are of a small network that is trained with the rest,
    there of a ResNet-50 that ImageNet taught; and beside them is a linear map of the head, begun as the corpus's least
    squares.
    """

    def __init__(self, parts: Mapping[str, tuple[int, ...]], points: int, width: int = 16) -> None:
        super().__init__()
        self.parts = parts
        counts = [min(COMPONENTS, 3 * len(part)) for part in parts.values()]
        self.register_buffer("mean", torch.zeros(points, 3))
        self.register_buffer("axes", torch.zeros(sum(counts), points, 3))  # each times its standard deviation
        self.picture = MobileEncoder(FEATURES, width)
        layers = [nn.Linear(FEATURES + 3 * points, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, sum(counts))]
        nn.init.zeros_(layers[-1].weight)
        nn.init.zeros_(layers[-1].bias)
        self.layers = nn.Sequential(*layers)
        self.straight = nn.Linear(3 * points, sum(counts))

    @torch.no_grad()
    def begin(self, heads: Tensor, expressions: Tensor) -> None:
        """The mean, the components, and the linear map, of heads (N, P, 3) and their expressions (N, P, 3)."""
        self.mean.copy_(heads.mean(0))
        row = 0
        for part in self.parts.values():
            x = expressions[:, list(part)].flatten(1).double()
            values, vectors = torch.linalg.eigh(x.T @ x / len(x))
            count = min(COMPONENTS, x.shape[1])
            found = vectors.T.flip(0)[:count] * values.flip(0)[:count].clamp_min(1e-10).sqrt()[:, None]
            self.axes[row : row + count][:, list(part)] = found.view(count, -1, 3).to(self.axes)
            row += count
        found = linear_map((heads - self.mean).flatten(1).double(), self.components(expressions).double(), 1e-2)
        self.straight.weight.copy_(found[:-1].T)
        self.straight.bias.copy_(found[-1])

    def components(self, expressions: Tensor) -> Tensor:
        """(N, C) in standard deviations, of expressions (N, P, 3)."""
        axes = self.axes.flatten(1)
        return expressions.flatten(1) @ (axes / axes.square().sum(1, keepdim=True)).T

    def expression(self, components: Tensor) -> Tensor:
        """(N, P, 3) of components (N, C)."""
        return (components @ self.axes.flatten(1)).unflatten(1, self.mean.shape)

    def forward(self, pictures: Tensor, heads: Tensor) -> Tensor:
        """The components (N, C) of the expression in pictures (N, 3, S, S) with heads (N, P, 3)."""
        x = (heads - self.mean).flatten(1)
        return self.layers(torch.cat([self.picture(pictures).float(), x], 1)) + self.straight(x)

    def transfer(self, identity: Tensor, components: Tensor, strength: float = 1.0) -> Tensor:
        """Heads (N, P, 3) of an identity (P, 3) with expressions (N, C), times ``strength``."""
        return self.mean + identity + strength * self.expression(components)

    def identity(self, pictures: Tensor, heads: Tensor) -> Tensor:
        """(P, 3): the mean over a person's K pictures (K, 3, S, S) and heads (K, P, 3) of what isn't expression."""
        return (heads - self.mean - self.expression(self(pictures, heads))).mean(0)


def expressions_of(heads: Tensor, clips: Tensor) -> tuple[Tensor, Tensor]:
    """What heads (N, P, 3) differ by from the mean of their clip (N,), and which are of a clip of several, (N,)."""
    counts = clips.bincount()
    sums = heads.new_zeros(len(counts), *heads.shape[1:]).index_add_(0, clips, heads)
    return heads - (sums / counts.clamp_min(1)[:, None, None])[clips], counts[clips] > 1
