"""Where a fitted head is off, beside where the mean shape is: a sheet of coloured scans."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from benchmarks.sheets import save_sheet
from portrait.pictures import fit_height, labelled
from portrait.video.images import read_image

WORST = 4.0  # mm that are drawn in the last colour
PIXEL = 0.75  # mm
GAP = 2.5  # mm from the nearest point of the scan, seen from the front, from which on nothing is drawn
HEADS_A_ROW, HEIGHT = 2, 256  # px of a picture


def error_map(scan: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: a scan (N, 3) mm from the front, coloured by its points' (N,) distances, blue 0 to red `WORST`.

    Axes are the head's: x to the right of the picture, y up, z towards who looks.
    """
    low, high = scan[:, :2].min(0) - GAP, scan[:, :2].max(0) + GAP
    width, height = np.ceil((high - low) / PIXEL).astype(int)
    x, y = np.meshgrid(low[0] + PIXEL * (np.arange(width) + 0.5), high[1] - PIXEL * (np.arange(height) + 0.5))
    gap, nearest = cKDTree(scan[:, :2]).query(np.stack([x, y], -1))
    picture = colours(distances[nearest])
    picture[gap > GAP] = 255
    return picture


def colours(millimetres: np.ndarray) -> np.ndarray:
    """(H, W) to (H, W, 3) uint8 RGB."""
    share = np.clip(millimetres / WORST, 0, 1)
    return np.ascontiguousarray(cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1])


def save_errors(path: Path, pictures: list[Path], fitted: list[np.ndarray], mean: list[np.ndarray]) -> Path:
    """A PNG with each head's picture, its scan coloured by the fit's (N,) distances and by the mean shape's."""
    tiles = []
    bar = colours(np.linspace(WORST, 0, HEIGHT)[:, None].repeat(8, 1))
    for file, *errors in zip(pictures, fitted, mean):
        scan = np.load(file.with_suffix(".npz"))["scan"]
        tiles.append(labelled(fit_height(read_image(file), HEIGHT), file.stem))
        for who, distances in zip(("fit", "mean"), errors):
            tile = _widened(fit_height(error_map(scan, distances), HEIGHT), HEIGHT)
            tile[:, -bar.shape[1] :] = bar
            tiles.append(labelled(tile, f"{who}: {np.median(distances):.2f} mm, bar 0 to {WORST:.0f}"))
    return save_sheet(path, tiles, columns=3 * HEADS_A_ROW)


def _widened(picture: np.ndarray, width: int) -> np.ndarray:
    """White to both sides, up to a width in px."""
    missing = max(0, width - picture.shape[1])
    sides = (missing // 2, missing - missing // 2)
    return np.pad(picture, ((0, 0), sides, (0, 0)), constant_values=255)
