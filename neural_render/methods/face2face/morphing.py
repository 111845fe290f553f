"""From one frame to another where the way through the clip jumps: what both show is moved, not faded."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 320
"""px of the longer side at which motion is looked for."""


def morph(old: np.ndarray, new: np.ndarray, share: float) -> np.ndarray:
    """(H, W, 3) uint8: the picture that is ``share`` of the way from one to another, both (H, W, 3) uint8.

    Along the dense optical flow of Kroeger et al. (DIS, ECCV 2016), found both ways.
    """
    height, width = old.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    a, b = (cv2.cvtColor(cv2.resize(p, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for p in (old, new))
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    factor = np.array([width / size[0], height / size[1]], np.float32)
    place = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)

    def moved(picture: np.ndarray, flow: np.ndarray, part: float) -> np.ndarray:
        flow = cv2.resize(cv2.GaussianBlur(flow, (0, 0), 2.0), (width, height)) * factor
        at = place - np.float32(part) * flow
        return cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)

    there = moved(old, finder.calc(a, b, None), share)
    back = moved(new, finder.calc(b, a, None), 1 - share)
    return ((1 - share) * there + share * back + 0.5).astype(np.uint8)
