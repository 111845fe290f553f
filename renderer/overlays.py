"""A map drawn over a picture."""

from __future__ import annotations

import torch
from torch import Tensor

from foundation.errors import PortraitError
from geometry.color import to_uint8


def overlay(image: Tensor, picture: Tensor, mask: Tensor | None = None, alpha: float = 0.6) -> Tensor:
    """Blends ``picture`` over ``image`` where ``mask`` is.

    Args:
        image: (..., H, W, 3) uint8 sRGB or float in [0, 1].
        picture: (..., H, W, 3) float in [0, 1], from ``render``; (..., H, W, 1) is shown grey.
        mask: (..., H, W, 1) in [0, 1], from ``render``; None is where the picture isn't black.
        alpha: 0 leaves the image, 1 covers it.

    Returns:
        (..., H, W, 3) of the image's type.

    Raises:
        PortraitError: sizes differ.
    """
    if image.shape[-3:-1] != picture.shape[-3:-1]:
        raise PortraitError(
            f"overlay: expected both of one size, got image {tuple(image.shape)} and map {tuple(picture.shape)}"
        )
    if mask is None:
        mask = (picture > 0).any(-1, keepdim=True)
    weight = alpha * mask.to(picture)
    below = image.to(picture.device)
    below = below.to(picture.dtype) / 255 if image.dtype == torch.uint8 else below.to(picture.dtype)
    blended = below + weight * (picture - below)
    return to_uint8(blended) if image.dtype == torch.uint8 else blended
