"""What a comparison video shows of the method: the maps that the network was given, and the result from near."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import torch

from facemodel.track import Track
from neural_render.images import cut_out, resize_square
from neural_render.methods.common.texture import linear
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, render_maps
from neural_render.methods.deep_video_portraits.weights import Weights

CHUNK = 8
"""Frames whose maps are rendered at a time."""


def map_panels(
    weights: Weights, track: Track, model, results: Iterator[np.ndarray], height: int
) -> Iterator[dict[str, np.ndarray]]:
    """For each result (H, W, 3) uint8, one a frame of the track, its maps as one picture.

    Three maps and the crop of the result; or the four maps, where there is a texture.
    """
    half, start, crop = (height + 1) // 2, 0, weights.header.crop
    texture = None if weights.texture is None else linear(weights.texture, model)
    while made := list(islice(results, CHUNK)):
        frames = torch.arange(start, start + len(made))
        for stack, picture in zip(render_maps(model, track, frames, crop, half, texture=texture), made):
            near = stack[..., CHANNELS:] if stack.shape[-1] > CHANNELS else resize_square(cut_out(picture, crop), half)
            shading, correspondence, eyes = (stack[..., c : c + 3] for c in (0, 3, 6))
            grid = np.vstack([np.hstack([shading, correspondence]), np.hstack([eyes, near])])
            yield {"maps": cv2.resize(grid, (height, height)) if len(grid) != height else grid}
        start += len(made)
