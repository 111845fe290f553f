"""The sRGB transfer function, and bytes. Shading happens in linear RGB; pictures on disk and on screen are sRGB."""

from __future__ import annotations

import torch
from torch import Tensor


def srgb_to_linear(color: Tensor) -> Tensor:
    """sRGB values (..., any) in [0, 1] to linear light (IEC 61966-2-1). Differentiable everywhere."""
    low = color / 12.92
    high = ((color.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(color <= 0.04045, low, high)


def linear_to_srgb(color: Tensor) -> Tensor:
    """Linear light (..., any) to sRGB. Not clamped: values above 1 stay above 1. Differentiable everywhere."""
    low = color * 12.92
    high = 1.055 * color.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(color <= 0.0031308, low, high)


def to_uint8(values: Tensor) -> Tensor:
    """Values (any) in [0, 1] as the nearest of 0 to 255, what is beyond clamped."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8)
