"""A small network that says, pixel by pixel, what is seen of a face: skin, skin in a cast shadow, or something else.

It starts the solver's mask where a hand, a thing or a shadow covers half of a face, which no residual of a first fit
tells apart from a wrong fit. It learnt it from synthetic people and things before them (``tools.train_mask``).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

SIZE = 64  # px, side of the level of an `Observation` that it sees
PARTS = ("skin", "shadow", "other")  # in usual light, in a cast shadow, before or beside the face
WIDTHS = (16, 32, 64, 80, 96)  # channels at 64, 32, 16, 8 and 4 px
DIM = 0.2  # of 1, sRGB: mean of a picture below which it's brightened
GREY = 4 / 255  # root mean square of the channels' differences, below which a picture is grey
TONE = (1.2, 0.95, 0.75)  # of skin, over grey
WEIGHTS = Path(__file__).parent / "mask.safetensors"


def _block(channels: int, out: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )


class MaskNet(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015): (N, 3, 64, 64) sRGB in [0, 1] to logits (N, 3, 64, 64) of `PARTS`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _block(3, WIDTHS[0])
        self.down = nn.ModuleList(nn.Sequential(_block(a, b, 2), _block(b, b)) for a, b in zip(WIDTHS, WIDTHS[1:]))
        self.narrow = nn.ModuleList(_block(b, a, kernel=1) for a, b in zip(WIDTHS, WIDTHS[1:]))
        self.up = nn.ModuleList(_block(2 * a, a) for a in WIDTHS[:-1])
        self.last = nn.Conv2d(WIDTHS[0], len(PARTS), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.first(pictures - 0.5)
        finer = []
        for stage in self.down:
            finer.append(x)
            x = stage(x)
        for k in reversed(range(len(finer))):
            x = nn.functional.interpolate(self.narrow[k](x), scale_factor=2.0)
            x = self.up[k](torch.cat([x, finer[k]], 1))
        return self.last(x)


@lru_cache(maxsize=2)
def load_mask_net(device: str = "cpu") -> MaskNet:
    """The network that ships with the package."""
    from safetensors.torch import load_file

    net = MaskNet()
    net.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return net.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def visible_parts(pictures: Tensor) -> Tensor:
    """Probabilities (F, 64, 64, 3) of `PARTS` in F pictures (F, 64, 64, 3), sRGB in [0, 1].

    The pictures are those of an `Observation`, as in ``fitting.occlusion.parts.seen_parts``.
    """
    net = load_mask_net(str(pictures.device))
    with torch.inference_mode():
        return net(as_learnt(pictures).permute(0, 3, 1, 2)).softmax(1).permute(0, 2, 3, 1)


def as_learnt(pictures: Tensor) -> Tensor:
    """Pictures (F, S, S, 3) as the network knows them: dark ones as bright as `DIM`, grey ones in the tone of skin.

    It learnt from coloured pictures of usual exposure, and calls skin without colour a thing.
    """
    brightness = pictures.mean((1, 2, 3), keepdim=True)
    out = pictures * (DIM / brightness.clamp_min(1e-3)).clamp_min(1)
    colour = (out - out.mean(-1, keepdim=True)).square().mean((1, 2, 3), keepdim=True).sqrt()
    return torch.where(colour < GREY, out * out.new_tensor(TONE), out).clamp(0, 1)
