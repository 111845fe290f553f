"""X2Face's two networks: one embeds pictures of a person in a face, one makes a vector of a driver and warps by it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural_render.networks import warp
from neural_render.networks.blocks import Norm
from neural_render.networks.embedded_face import FaceEmbedder
from neural_render.networks.encoder_decoder import Decoder, Encoder

VECTOR = 128  # numbers of a driving vector


class X2Face(nn.Module):
    """Wiles, Koepke and Zisserman, ECCV 2018, Fig. 2. Pictures are (..., 3, size, size) in [-1, 1].

    At ``size`` 256 and ``width`` 64 they are the paper's networks: eight levels of 64 to 512 channels, a vector of 128.
    """

    def __init__(self, size: int, width: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.embedder = FaceEmbedder(size, width, norm)
        self.encoder = Encoder(3, size, width, VECTOR, norm)
        self.decoder = Decoder(2, size, width, VECTOR, skips=False, norm=norm)

    def vector(self, pictures: Tensor) -> Tensor:
        """Driving vectors (N, 128) of pictures (N, 3, S, S)."""
        return self.encoder(pictures)[0]

    def drive(self, face: Tensor, vector: Tensor) -> Tensor:
        """Embedded faces (N, 3, S, S) as the vectors (N, 128) have them: (N, 3, S, S)."""
        return warp(face, torch.tanh(self.decoder(vector).float()).movedim(1, -1))

    def forward(self, sources: Tensor, drivers: Tensor) -> Tensor:
        """People of sources (N, K, 3, S, S) as their drivers (N, D, 3, S, S) have it: (N, D, 3, S, S)."""
        count = drivers.shape[1]
        face = self.embedder(sources).face.repeat_interleave(count, 0)
        return self.drive(face, self.vector(drivers.flatten(0, 1))).unflatten(0, (-1, count))
