"""Several pictures of a person to one face that isn't posed: each is warped, and the mean counts the surer more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neural_render.networks.blocks import Norm
from neural_render.networks.encoder_decoder import Decoder, Encoder
from neural_render.networks.warp import warp


@dataclass(frozen=True)
class EmbeddedFace:
    """What was made of K pictures of each of N people."""

    face: Tensor  # (N, 3, S, S)
    flows: Tensor  # (N, K, S, S, 2) as ``warp`` takes them: where each pixel of the face is in each picture
    share: Tensor  # (N, K, 1, S, S) of each picture in each pixel; sums to one over K


class FaceEmbedder(nn.Module):
    """A U-Net that looks at one picture: (N, K, 3, S, S) in [-1, 1] to an ``EmbeddedFace``.

    X2Face's embedding network (Wiles et al., ECCV 2018): a flow in (-1, 1) and a confidence c for each pixel; shares
    are proportional to exp(c) + ``floor``, with 0.1 as the paper's code has it, so that no picture is ever left out.
    With a floor of 0 they are a softmax over pictures, which is attention.
    """

    def __init__(self, size: int, width: int, norm: Norm = "batch", floor: float = 0.1) -> None:
        super().__init__()
        self.floor = floor
        self.encoder = Encoder(3, size, width, norm=norm)
        self.decoder = Decoder(3, size, width, skips=True, norm=norm)

    def forward(self, pictures: Tensor) -> EmbeddedFace:
        n, k = pictures.shape[:2]
        flat = pictures.flatten(0, 1)
        maps = self.decoder(*self.encoder(flat)).float()
        flows = torch.tanh(maps[:, :2]).movedim(1, -1)
        surely = maps[:, 2:].unflatten(0, (n, k))
        # All divided by exp(top), so that nothing overflows.
        top = surely.detach().amax(1, keepdim=True).clamp_min(0)
        weight = torch.exp(surely - top) + self.floor * torch.exp(-top)
        share = weight / weight.sum(1, keepdim=True)
        warped = warp(flat, flows).unflatten(0, (n, k))
        return EmbeddedFace((share * warped).sum(1), flows.unflatten(0, (n, k)), share)
