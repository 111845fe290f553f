"""Trained weights of UV completion, and their use on a texture of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from facemodel.base import check_same_model
from foundation.errors import PortraitError
from foundation.tensors import header_as, read_tensors, write_tensors
from neural_render.uv_gan.filling import mirror_fill, push_pull
from neural_render.uv_gan.generator import UVGenerator, generator_input
from renderer import linear_to_srgb, srgb_to_linear

KIND, VERSION = "uv-weights", 1
MAKE = "portrait uv-train"


@dataclass(frozen=True)
class CompletionHeader:
    """What trained weights are for."""

    model: str  # name of the morphable model
    fingerprint: str  # of its file
    size: int  # texels a side
    width: int
    norm: str
    steps: int
    seconds: float
    textures: int  # trained on
    people: int
    synthetic: int  # how many of these people don't exist


@dataclass(frozen=True)
class CompletionWeights:
    """A trained generator's tensors and what they are for."""

    header: CompletionHeader
    generator: dict[str, Tensor]

    def save(self, path: Path) -> None:
        """Writes both; the file appears whole or the old one stays."""
        write_tensors(path, KIND, VERSION, self.generator, asdict(self.header))

    @classmethod
    def load(cls, path: Path, model=None) -> CompletionWeights:
        """Reads weights.

        PortraitError where they are broken, of another model than ``model``, or where that has no symmetric UV atlas.
        """
        tensors, raw = read_tensors(path, KIND, VERSION, MAKE)
        header = header_as(CompletionHeader, raw, f"weights '{path}'", "train again")
        if model is not None:
            check_same_model(f"weights '{path}': trained", header, model, f"train again with '{MAKE}'")
            model.require("symmetric atlas", "completing a texture")
        return cls(header, tensors)

    def network(self, device: str = "cpu") -> UVGenerator:
        """The generator in evaluation mode. PortraitError where the tensors don't fit the header."""
        h = self.header
        try:
            network = UVGenerator(h.size, h.width, norm=h.norm)
            network.load_state_dict(self.generator)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise PortraitError(f"weights: tensors don't fit their header ({reason}); train again") from None
        return network.to(device).eval()

    def completer(self, device: str = "cpu") -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """A function of texture, weight and model's texture, all lit linear RGB (S, S, ...), to a whole texture."""
        network = self.network(device)
        return lambda texture, weight, model_texture: complete(network, texture, weight, model_texture)


@torch.no_grad()
def complete(network: UVGenerator, texture: Tensor, weight: Tensor, model_texture: Tensor) -> Tensor:
    """(S, S, 3) linear RGB: the texture where it is known, elsewhere what the network makes of it.

    At more texels than the network has, what is finer than its own is taken from mirror completion.

    Args:
        texture: (S, S, 3) linear RGB. weight: (S, S) 0 to 1, how far each texel is known.
        model_texture: (S, S, 3) linear RGB, the fitted model's under the same light.
    """
    size, place = len(texture), next(network.parameters()).device
    small = _resized(linear_to_srgb(texture.clamp(0, 1)) * weight[..., None], network.size)
    known = _resized(weight[..., None], network.size)
    color = small / known.clamp_min(1e-3) * 2 - 1
    x = generator_input(color.clamp(-1, 1).to(place), known.to(place), torch.zeros_like(color).to(place))
    made = (network(x.contiguous()).to(texture.device) + 1) / 2
    # What the network is off by where the truth is known is taken along into the holes: the skin's tone, above all.
    made = made + push_pull((color + 1) / 2 - made, known)
    whole = F.interpolate(made, (size, size), mode="bicubic", align_corners=False)[0].movedim(0, -1)
    if size > network.size:
        mirrored = linear_to_srgb(mirror_fill(texture, weight, model_texture).clamp(0, 1))
        coarse = _resized(mirrored, network.size)
        coarse = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)[0].movedim(0, -1)
        whole = whole + mirrored - coarse
    return torch.lerp(srgb_to_linear(whole.clamp(0, 1)), texture, weight[..., None])


def _resized(picture: Tensor, size: int) -> Tensor:
    """(S, S, C) -> (1, C, size, size); averaged where smaller."""
    channels = picture.movedim(-1, 0)[None]
    if picture.shape[0] == size:
        return channels
    return F.interpolate(channels, (size, size), mode="bilinear", align_corners=False, antialias=True)
