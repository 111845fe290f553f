"""Putting a synthesised crop back into the original frame, at the frame's own resolution."""

from __future__ import annotations

import cv2
import numpy as np

from .conditioning import Crop


def feather_mask(crop: Crop, frame_width: int, frame_height: int, border: float = 0.12) -> np.ndarray:
    """(side, side) float32 in [0, 1]: one inside, falling smoothly to zero over ``border`` of the side.

    Where the crop ends at the frame's own edge there is nothing to blend with and it stays one.
    """
    n = crop.side
    distance = (np.arange(n) + 0.5) / max(border * n, 1e-6)
    ramp = np.clip(distance, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)

    def axis(start: int, end: int) -> np.ndarray:
        low = np.ones(n) if crop_at(start, 0) else ramp
        high = np.ones(n) if crop_at(end, 1) else ramp[::-1]
        return low * high

    def crop_at(position: int, which: int) -> bool:
        return position <= 0 if which == 0 else position >= 0

    x = axis(crop.x0, crop.x0 + n - frame_width)
    y = axis(crop.y0, crop.y0 + n - frame_height)
    return (y[:, None] * x[None]).astype(np.float32)


def paste(frame: np.ndarray, image: np.ndarray, crop: Crop, mask: np.ndarray) -> np.ndarray:
    """A copy of the frame (H, W, 3) uint8 with the square image (S, S, 3) uint8 blended into its crop.

    mask: (side, side) float32 in [0, 1]. Pixels outside the crop, and those where the mask is zero, stay as they are.
    """
    how = cv2.INTER_AREA if image.shape[0] > crop.side else cv2.INTER_CUBIC
    if image.shape[0] != crop.side:
        image = cv2.resize(image, (crop.side, crop.side), interpolation=how)
    result = frame.copy()
    region = result[crop.y0 : crop.y0 + crop.side, crop.x0 : crop.x0 + crop.side]
    weight = mask[..., None]
    blended = region + weight * (image.astype(np.float32) - region)
    region[:] = np.clip(blended + 0.5, 0, 255).astype(np.uint8)
    return result
