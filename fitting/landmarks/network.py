"""Whether a face is upright: a small network that is surer of its landmarks where it is.

Enter squares about faces, leaves how uncertain the landmarks in them are (`uncertainty`); called by
`fitting.landmarks.mediapipe` for boxes of a low score, whatever face model is fitted then. It learnt dense landmarks
with their uncertainties (Wood et al., ECCV 2022) from synthetic people, all of them upright, by ``python -m
tools.train_landmarks``. Nothing is fitted to its points, which are the default model's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

SIZE = 128  # px, the square it sees (SQUARE times the face's box)
HEAT = 16  # px, side of the heat maps
WIDTH = 96  # channels of the merged features
REACH = 1.2  # points may lie a little outside of the square
WEIGHTS = Path(__file__).parent / "landmarks.safetensors"


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


def _smaller(channels: int, out: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


@dataclass(frozen=True)
class Guess:
    """Of N pictures."""

    points: Tensor  # (N, L, 2) in [0, 1] of the square
    sigma: Tensor  # (N, L) standard deviation of each coordinate, in the same unit


class LandmarkNet(nn.Module):
    """(N, 3, 128, 128) sRGB in [0, 1] to a `Guess`.

    Features at five scales; the smaller ones are added to the larger again, and a point is the mean of its heat map of
    16 x 16 (integral regression, Sun et al., ECCV 2018).
    """

    def __init__(self, landmarks: int = 478) -> None:
        super().__init__()
        widths = (24, 48, 96, 160, 256)
        self.first = _smaller(3, widths[0], 5)
        self.down = nn.ModuleList(nn.Sequential(_smaller(a, b), _Residual(b)) for a, b in zip(widths, widths[1:]))
        self.across = nn.ModuleList(nn.Conv2d(w, WIDTH, 1) for w in widths[2:])
        self.fine = nn.Conv2d(widths[1], WIDTH, 3, 2, 1)  # of 32 x 32, which would make heat maps too slow
        self.merge = nn.ModuleList(_Residual(WIDTH) for _ in widths[2:-1])
        self.heat = nn.Conv2d(WIDTH, landmarks, 1)
        self.sigma = nn.Sequential(
            nn.Conv2d(widths[-1], 64, 1),
            nn.Flatten(),
            nn.ReLU(inplace=True),
            nn.Linear(64 * (SIZE // 32) ** 2, landmarks),
        )
        where = (torch.arange(HEAT) + 0.5) / HEAT
        self.register_buffer("places", torch.cartesian_prod(where, where).flip(1), persistent=False)  # (H * H, 2) x, y

    def forward(self, pictures: Tensor) -> Guess:
        x, scales = self.first(pictures - 0.5), []
        for stage in self.down:
            x = stage(x)
            scales.append(x)
        detail, *scales = scales
        out = self.across[-1](x)
        for k in range(len(scales) - 2, -1, -1):
            out = nn.functional.interpolate(out, scale_factor=2.0) + self.across[k](scales[k])
            out = self.merge[k](out if k else out + self.fine(detail))
        heat = self.heat(out).contiguous().flatten(2).float().softmax(-1)  # (N, L, H * H)
        spread = self.sigma(x).float().clamp(-6, 6)
        return Guess((heat @ self.places - 0.5) * REACH + 0.5, 0.02 * spread.exp())


@lru_cache(maxsize=2)
def load_landmark_net(device: str = "cpu") -> LandmarkNet:
    """The network that ships with the package."""
    from safetensors.torch import load_file

    net = LandmarkNet()
    net.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return net.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def uncertainty(pictures: np.ndarray) -> np.ndarray:
    """(N,) mean logarithm of the landmarks' standard deviations, of squares about upright faces; (N, S, S, 3) uint8."""
    import cv2

    small = np.stack([cv2.resize(p, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for p in pictures])
    with torch.inference_mode():
        guess = load_landmark_net()(torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255)
    return guess.sigma.log().mean(1).numpy()
