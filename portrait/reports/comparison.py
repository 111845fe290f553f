"""The comparison video: driver | target | maps | result, labelled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from facemodel import Track
from facemodel.editing.mixing import target_frames
from neural_render import FrameCursor
from neural_render.methods.deep_video_portraits.conditioning import Crop, render_maps

LABELS = ("driver", "target", "maps", "result")
HEIGHT = 288  # px of a panel, at least
CHUNK = 8
BAR = 22  # px of the label above a panel


def comparison_frames(
    driver: Iterator[np.ndarray],
    target,
    track: Track,
    result,
    *,
    model,
    crop: Crop,
    height: int | None = None,
) -> Iterator[np.ndarray]:
    """One picture a frame of the track, (H, W, 3) uint8.

    driver: its frames in order.
    target, result: re-iterables of (index, time, frame). track: mixed.
    crop: the square of the target's frame in which maps (and the result, once more) are shown close.
    """
    import torch

    height = height or max(HEIGHT, min(432, track.height))
    height += height % 2
    half = height // 2
    behind, made = FrameCursor(target), FrameCursor(result)
    order = target_frames(track)
    for start in range(0, len(track), CHUNK):
        frames = torch.arange(start, min(start + CHUNK, len(track)))
        maps = render_maps(model, track, frames, crop, half)
        for k, stack in zip(frames.tolist(), maps):
            picture = made.at(k)
            close = fit_height(picture[crop.y0 : crop.y0 + crop.side, crop.x0 : crop.x0 + crop.side], half)
            shading, correspondence, eyes = (stack[..., c : c + 3] for c in (0, 3, 6))
            grid = np.vstack([np.hstack([shading, correspondence]), np.hstack([eyes, close[:half, :half]])])
            panels = [next(driver), behind.at(order[k]), grid, picture]
            yield np.hstack([labelled(fit_height(p, height), text) for p, text in zip(panels, LABELS)])
    behind.close()
    made.close()


def fit_height(picture: np.ndarray, height: int) -> np.ndarray:
    """A picture scaled to a height, its shape kept."""
    import cv2

    width = max(2, round(picture.shape[1] * height / picture.shape[0]))
    how = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, (width, height), interpolation=how)


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture under a bar with its name."""
    import cv2

    bar = np.full((BAR, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(bar, text, (8, BAR - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])
