"""The squares about the eyes, at the picture's own resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.landmarks.base import square_crop


@dataclass(frozen=True)
class EyeSquare:
    """How the square about an eye is cut."""

    size: int = 64  # px
    width: float = 0.24  # its side over the face's size


@dataclass(frozen=True)
class EyePatches:
    """Of one face, left eye first."""

    brightness: np.ndarray  # (2, S, S) float32 in [0, 1]
    corners: np.ndarray  # (2, 2) px of the frame, top left
    side: float  # px of the frame
    seen: tuple[bool, bool] = (True, True)  # False where something hides the eye


def eye_patches(picture: np.ndarray, centres: np.ndarray, side: float, size: int) -> EyePatches:
    """Cuts squares of ``side`` px about two points (2, 2) px out of an (H, W, 3) uint8 picture, as ``size`` px."""
    import cv2

    patches = [cv2.cvtColor(square_crop(picture, c, side, size), cv2.COLOR_RGB2GRAY) for c in centres]
    return EyePatches(np.stack(patches).astype(np.float32) / 255, centres - side / 2, side)
