"""The perceptual loss: how far two pictures are apart to VGG-16."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.errors import PortraitError
from neural_render.losses.base import LOSSES, Context, Loss, Options

CACHED = "vgg16-397923af.pth"
LAYERS = (3, 8, 15, 22)
"""relu1_2, relu2_2, relu3_3 and relu4_3 (Johnson et al., ECCV 2016) in VGG-16's list of layers."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def find_weights(path: str | os.PathLike | None = None) -> Path:
    """The file with VGG-16's weights: the given one, else the one in torchvision's cache. Nothing is downloaded."""
    found = Path(path) if path else Path(torch.hub.get_dir()) / "checkpoints" / CACHED
    if not found.is_file():
        raise PortraitError(
            f"perceptual loss: expected VGG-16's weights in '{found}', found no such file; put torchvision's {CACHED} "
            "there, name a file of your own, or leave this loss out"
        )
    return found


def available(path: str | os.PathLike | None = None) -> bool:
    """Whether VGG-16's weights are there. PortraitError where a file is named that isn't."""
    if path is None and not (Path(torch.hub.get_dir()) / "checkpoints" / CACHED).is_file():
        return False
    find_weights(path)
    return True


def read_vgg(path: Path) -> dict[str, Tensor]:
    """VGG-16's tensors, named as torchvision names them, from safetensors or from a file of torch.save."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # broken pickles and headers have whatever their bytes lead to
        reason = " ".join(str(error).split())[:120]
        raise PortraitError(f"perceptual loss: '{path}' isn't a file of weights ({reason}); fetch it again") from None


class Perceptual(nn.Module):
    """Mean over four of VGG-16's layers of the mean absolute difference of their features.

    Pictures are (N, 3, H, W) in [-1, 1], H and W at least 16. The network is frozen. PortraitError where its weights,
    those of torchvision's ``vgg16``, aren't there.
    """

    def __init__(self, path: str | os.PathLike | None = None) -> None:
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        file = find_weights(path)
        layers = make_layers(cfgs["D"])[: LAYERS[-1] + 1]
        prefix, tensors = "features.", read_vgg(file)
        try:
            layers.load_state_dict({k: tensors[prefix + k] for k in layers.state_dict()})
        except (KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise PortraitError(f"perceptual loss: '{file}' doesn't hold VGG-16's weights ({reason})") from None
        self.layers = layers.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def features(self, image: Tensor) -> list[Tensor]:
        """The four layers' features, the finest first."""
        x, found = ((image.float() + 1) / 2 - self.mean) / self.std, []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in LAYERS:
                found.append(x)
        return found

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.features(real)
        return sum(F.l1_loss(a.float(), b.float()) for a, b in zip(self.features(made), wanted)) / len(wanted)


class _Term(nn.Module):
    """The loss of a context's pictures."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.perceptual = Perceptual(options.get("vgg"))

    def forward(self, context: Context) -> Tensor:
        return self.perceptual(context.made, context.real)


LOSSES.add("perceptual", Loss(_Term, check=lambda options: find_weights(options.get("vgg"))))
