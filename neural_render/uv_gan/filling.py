"""Holes of a texture filled without a network: smoothly, or from the mirrored side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from foundation.errors import PortraitError
from renderer.mirroring import turned_over

DARKEST = 0.004  # linear RGB: least colour of which a logarithm is taken


def smooth_fill(values: Tensor, weight: Tensor) -> Tensor:
    """Spreads values (H, W, C) from where ``weight`` (H, W) in [0, 1] is to where it isn't, smoothly.

    Where the weight is one a value stays as it is; between, it is blended with its surroundings'. Push-pull over a
    pyramid (Gortler et al., The Lumigraph, SIGGRAPH 1996): time and memory of a few copies of the picture.
    PortraitError where the weight is zero everywhere.
    """
    if not bool((weight > 0).any()):
        raise PortraitError("fill: expected some known texels, got none")
    height, width = weight.shape
    side = 1 << (max(height, width) - 1).bit_length()
    if values.device.type == "cpu" and not (torch.is_grad_enabled() and (values.requires_grad or weight.requires_grad)):
        return _compiled_fill(values, weight, side)
    pad = (0, side - width, 0, side - height)
    color, known = F.pad(values.movedim(-1, 0)[None], pad), F.pad(weight[None, None].to(values), pad)
    return push_pull(color, known)[0, :, :height, :width].movedim(0, -1)


def _compiled_fill(values: Tensor, weight: Tensor, side: int) -> Tensor:
    from neural_render.uv_gan import filling_kernels

    height, width = weight.shape
    known = np.zeros((side, side), np.float32)
    known[:height, :width] = weight.numpy()
    color = np.zeros((side, side, values.shape[-1]), np.float32)
    color[:height, :width] = values.numpy() * known[:height, :width, None]
    levels = [(color, known)]
    while len(known) > 1:
        half = len(known) // 2
        color, known = np.empty((half, half, color.shape[-1]), np.float32), np.empty((half, half), np.float32)
        filling_kernels.pull(*levels[-1], color, known)
        levels.append((color, known))
    below = color / np.maximum(known, 1e-8)[..., None]
    for color, known in reversed(levels[:-1]):
        filling_kernels.push(color, known, below)
        below = color
    return torch.from_numpy(np.ascontiguousarray(below[:height, :width])).to(values.dtype)


def push_pull(values: Tensor, weight: Tensor) -> Tensor:
    """``smooth_fill`` of batches (N, C, S, S) and (N, 1, S, S), S a power of two; zeros where nothing is known."""
    return _push_pull(values * weight, weight)


def _push_pull(color: Tensor, weight: Tensor) -> Tensor:
    """Colours times weight in, colours everywhere out."""
    if weight.shape[-1] == 1:
        return color / weight.clamp_min(1e-8)
    total = 4 * F.avg_pool2d(weight, 2)
    coarse_weight = total.clamp(max=1)
    coarse = _push_pull(4 * F.avg_pool2d(color, 2) / total.clamp_min(1e-8) * coarse_weight, coarse_weight)
    below = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return color + (1 - weight) * below


def mirror_fill_batch(textures: Tensor, known: Tensor, mean: Tensor) -> Tensor:
    """``mirror_fill`` of batches (N, 3, S, S) in any colour space, differences in place of logarithms.

    known: (N, 1, S, S) 0 to 1. mean: (1, 3, S, S), in place of the fitted model's texture.
    """
    own, other_known = textures - mean, known.flip(-1)
    other = own.flip(-1)
    other = other + push_pull(own - other, known * other_known)
    either = known + (1 - known) * other_known
    joined = (known * own + (1 - known) * other_known * other) / either.clamp_min(1e-6)
    return push_pull(joined, either) + mean


def mirror_fill(
    texture: Tensor, weight: Tensor, model_texture: Tensor, mirrored: Callable[[Tensor], Tensor] = turned_over
) -> Tensor:
    """(S, S, 3): the texture where it's known, else its mirrored side, else the fitted model; no seams.

    The mirrored side is first brought to this side's tone: their logarithmic difference, smooth from where both are
    known, is added. So is the texture's difference from the model where neither side is known.

    Args:
        texture: (S, S, 3) linear RGB.
        weight: (S, S) 0 to 1, how far each texel is known; between, it is blended.
        model_texture: (S, S, 3) linear RGB, complete: the fitted model's, under the same light as the texture.
        mirrored: of an atlas that isn't symmetric about u = 0.5, see `renderer.mirroring`.
    """
    log = lambda t: t.clamp_min(DARKEST).log()  # noqa: E731
    # Against the model, since the model's own asymmetry (light, above all) isn't to be mirrored.
    own = log(texture) - log(model_texture)
    other, other_weight = mirrored(own), mirrored(weight)
    both = weight * other_weight
    if bool((both > 0.01).any()):
        other = other + smooth_fill(own - other, both)
    weight, other_weight = weight[..., None], other_weight[..., None]
    known = weight + (1 - weight) * other_weight
    joined = (weight * own + (1 - weight) * other_weight * other) / known.clamp_min(1e-6)
    return (smooth_fill(joined, known[..., 0]) + log(model_texture)).exp()


def blend_weight(confidence: Tensor, island: Tensor, *, trusted: float = 0.15) -> Tensor:
    """(S, S) 0 to 1 from a confidence: texels at least so ``trusted`` are kept as they are."""
    return (confidence / trusted).clamp(0, 1) * island
