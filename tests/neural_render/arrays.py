"""A small synthetic clip: a disc that moves, and maps that say where it is."""

from __future__ import annotations

import numpy as np
import torch

from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, window_frames


class ArraySamples:
    """``Samples`` in memory."""

    def __init__(self, maps: np.ndarray, images: np.ndarray) -> None:
        self.maps, self.images = torch.from_numpy(maps), torch.from_numpy(images)

    def __len__(self) -> int:
        return len(self.maps)

    def batch(self, samples: np.ndarray, window: int) -> tuple[torch.Tensor, torch.Tensor]:
        starts = np.zeros(len(self), np.int64)
        rows = torch.from_numpy(window_frames(samples, starts, window))
        return self.maps[rows], self.images[torch.from_numpy(samples)]


def moving_disc(frames: int = 8, size: int = 64) -> ArraySamples:
    """The disc goes round once; the background is a gradient."""
    rows, columns = np.mgrid[:size, :size] / size
    maps = np.zeros((frames, size, size, CHANNELS), np.uint8)
    images = np.zeros((frames, size, size, 3), np.uint8)
    for k in range(frames):
        angle = 2 * np.pi * k / frames
        inside = np.hypot(rows - 0.5 - 0.2 * np.sin(angle), columns - 0.5 - 0.2 * np.cos(angle)) < 0.2
        images[k] = np.stack([rows, columns, 0.5 + 0 * rows], -1) * 120
        images[k][inside] = (230, 180, 150)
        maps[k][inside] = (np.arange(CHANNELS) * 25 + 20).astype(np.uint8)
    return ArraySamples(maps, images)
