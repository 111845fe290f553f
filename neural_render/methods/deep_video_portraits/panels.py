"""What a comparison video shows of the method: the maps that the network was given, and the result from near."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import torch

from facemodel.track import Track
from neural_render.images import Crop, cut_out, resize_square
from neural_render.methods.deep_video_portraits.conditioning import render_maps

CHUNK = 8
"""Frames whose maps are rendered at a time."""


def map_panels(
    crop: Crop, track: Track, model, results: Iterator[np.ndarray], height: int
) -> Iterator[dict[str, np.ndarray]]:
    """For each result (H, W, 3) uint8, one a frame of the track, its three maps and the crop of the result as one."""
    half, start = (height + 1) // 2, 0
    while made := list(islice(results, CHUNK)):
        frames = torch.arange(start, start + len(made))
        for stack, picture in zip(render_maps(model, track, frames, crop, half), made):
            near = resize_square(cut_out(picture, crop), half)
            shading, correspondence, eyes = (stack[..., c : c + 3] for c in (0, 3, 6))
            grid = np.vstack([np.hstack([shading, correspondence]), np.hstack([eyes, near])])
            yield {"maps": cv2.resize(grid, (height, height)) if len(grid) != height else grid}
        start += len(made)
