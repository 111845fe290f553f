"""A discriminator that knows who or what is to be seen: Miyato and Koyama, "cGANs with projection discriminator"."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks.norms import add_spectral_norm


class DownBlock(nn.Module):
    """ReLU, 3 x 3 convolution, twice, beside a 1 x 1 shortcut; halved by averages where asked, and no normalisation."""

    def __init__(self, inputs: int, outputs: int, *, first: bool = False, halve: bool = True) -> None:
        super().__init__()
        self.first, self.halve = first, halve  # the first block takes pictures, whose values a ReLU would cut
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.two = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(F.relu(self.one(x if self.first else F.relu(x)))) + self.shortcut(x)
        return F.avg_pool2d(y, 2) if self.halve else y


class ProjectionDiscriminator(nn.Module):
    """Pictures (N, inputs, size, size) and an embedding (N, 8 * width) to scores (N,).

    Residual blocks with spectral norm halve the picture to 4 px, one more keeps that; channels are
    width * (1, 2, 4, 8, 8, ...). The score is linear in the features' sum over places, plus their product with the
    embedding. ``embeddings`` has one of those for each of the ``count`` that are known.
    """

    def __init__(self, count: int, inputs: int = 3, size: int = 256, width: int = 64) -> None:
        super().__init__()
        levels = size.bit_length() - 3
        if 2 ** (levels + 2) != size or levels < 1:
            raise ValueError(f"size: expected a power of two of at least 8, got {size}")
        channels = [inputs, *(width * min(2**k, 8) for k in range(levels)), 8 * width]
        self.blocks = nn.ModuleList(
            DownBlock(a, b, first=k == 0, halve=k < levels) for k, (a, b) in enumerate(zip(channels, channels[1:]))
        )
        self.to_score = nn.Linear(8 * width, 1)
        add_spectral_norm(self)
        self.embeddings = nn.Embedding(count, 8 * width)

    def features(self, pictures: Tensor, embedding: Tensor) -> list[Tensor]:
        """Each block's activations, for feature matching, and the scores last, positive for real."""
        x, found = pictures, []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        summed = F.relu(x).sum((2, 3))
        return [*found, (self.to_score(summed)[:, 0] + (summed * embedding).sum(1)).float()]

    def compare(self, made: Tensor, real: Tensor, which: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """``features`` of made and of real pictures of the embeddings of these numbers (N,), and those embeddings."""
        embedding = self.embeddings(which)
        return self.features(made, embedding), self.features(real, embedding), embedding
