"""Attention of one picture's features to those of several others."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks.blocks import make_norm


def place_code(channels: int, height: int, width: int, *, device=None) -> Tensor:
    """(height * width, channels): sines and cosines of rows and columns, in groups of four.

    Ha et al., AAAI 2020, Eq. 4 and 5: sin and cos of 256 i / (height 10000^(4k / channels)) and of
    256 j / (width 10000^(4k / channels)) for row i, column j and group k. channels: a multiple of four.
    """
    rate = 10000.0 ** (-torch.arange(channels // 4, device=device) * 4 / channels)
    parts = []
    for count, shape in ((height, (height, 1, -1)), (width, (1, width, -1))):
        angle = 256 / count * torch.arange(count, device=device)[:, None] * rate
        parts += [f.view(shape).expand(height, width, -1) for f in (angle.sin(), angle.cos())]
    return torch.stack(parts, -1).flatten(2).flatten(0, 1)


class ImageAttention(nn.Module):
    """Features x (N, C, H, W) and those of K others (N, K, D, h, w) -> (N, C, H, W).

    Each place of x asks all places of all the others at once (Ha et al., Sec. 3.3): softmax(q k / sqrt(heads' width)) v
    with codes of places in queries and keys; added to x, normalised, a 3 x 3 convolution, added and normalised again.
    """

    def __init__(self, channels: int, others: int, width: int = 64) -> None:
        super().__init__()
        self.to_query, self.place_query = nn.Linear(channels, width), nn.Linear(channels, width, bias=False)
        self.to_key, self.place_key = nn.Linear(others, width), nn.Linear(others, width, bias=False)
        self.to_value = nn.Linear(others, channels)
        self.norms = nn.ModuleList(make_norm("instance", channels) for _ in range(2))
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def weights(self, x: Tensor, others: Tensor) -> Tensor:
        """(N, H * W, K * h * w): what each place of x looks at; each row sums to 1."""
        query_places = place_code(x.shape[1], *x.shape[2:], device=x.device)
        key_places = place_code(others.shape[2], *others.shape[3:], device=x.device)
        query = self.to_query(x.flatten(2).mT) + self.place_query(query_places)
        key = self.to_key(others.flatten(3).mT) + self.place_key(key_places)  # (N, K, h * w, width)
        return F.softmax(query @ key.flatten(1, 2).mT / math.sqrt(query.shape[-1]), -1)

    def forward(self, x: Tensor, others: Tensor) -> Tensor:
        value = self.to_value(others.flatten(3).mT).flatten(1, 2)
        found = (self.weights(x, others) @ value).mT.view_as(x)
        x = self.norms[0](x + found)
        return self.norms[1](x + self.convolution(x))
