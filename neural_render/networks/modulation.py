"""Features whose scale and shift come from elsewhere: a style vector (AdaIN) or a map (SPADE)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def adain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Adaptive instance normalisation (Huang and Belongie, 2017): each map's mean becomes shift, its std scale.

    x (N, C, H, W); scale, shift (N, C).
    """
    return F.instance_norm(x) * scale[..., None, None] + shift[..., None, None]


class AdaIN(nn.Module):
    """``adain`` whose scale and shift are linear in a style: x (N, C, H, W), style (N, styles) -> (N, C, H, W).

    Begun as plain instance normalisation for a style of zeros: the scale is 1 + what the style gives.
    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.to_modulation = nn.Linear(styles, 2 * channels)
        nn.init.zeros_(self.to_modulation.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.to_modulation(style).chunk(2, dim=1)
        return adain(x, 1 + scale, shift)


class SPADE(nn.Module):
    """Spatially adaptive normalisation (Park et al., CVPR 2019, Eq. 1 and Fig. 2), over instances rather than batches.

    x (N, C, H, W) and a map (N, labels, h, w), brought to x's size by the nearest pixel -> (N, C, H, W):
    normalised x * (1 + scale) + shift, both 3 x 3 convolutions of ``hidden`` features of the map.
    """

    def __init__(self, channels: int, labels: int, hidden: int = 128) -> None:
        super().__init__()
        self.shared = nn.Conv2d(labels, hidden, 3, padding=1)
        self.to_scale = nn.Conv2d(hidden, channels, 3, padding=1)
        self.to_shift = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        hidden = F.relu(self.shared(F.interpolate(labels, size=x.shape[-2:], mode="nearest")))
        return F.instance_norm(x) * (1 + self.to_scale(hidden)) + self.to_shift(hidden)
