"""How far two pictures, or two clips, are from each other. Pictures are (H, W, 3) uint8, masks (H, W) bool."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales (Wang, Simoncelli, Bovik, Multi-scale structural similarity, Asilomar 2003)."""
WINDOW, SIGMA = 11, 1.5  # of the Gaussian, px
C2 = (0.03 * 255) ** 2


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB over the mask's pixels; infinite for equal pictures."""
    error = np.square(a.astype(np.float64) - b)
    error = error[mask].mean() if mask is not None else error.mean()
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("inf")


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W) structural similarity about each pixel, the three channels' mean, with Wang's Gaussian window."""
    _, full = structural_similarity(
        a, b, channel_axis=-1, data_range=255, full=True,
        gaussian_weights=True, sigma=SIGMA, use_sample_covariance=False,
    )  # fmt: skip
    return full.mean(-1)


def ssim(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean structural similarity over the mask; without one over all pixels whose window lies in the picture."""
    return mean_over(ssim_map(a, b), mask)


def ms_ssim(
    a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None, weights: tuple[float, ...] = WEIGHTS
) -> float:
    """Multi-scale structural similarity: contrast and structure at each scale, luminance at the coarsest.

    Each scale halves the one before by 2 x 2 means. Where a picture is too small for the window at the coarser
    scales, those are left out and the other weights made to sum to one (128 px: four scales). A negative term, which
    pictures that contradict each other have, counts as zero.
    """
    return pool_scales(scale_maps(a, b, len(weights)), mask, weights)


def scale_maps(a: np.ndarray, b: np.ndarray, count: int = len(WEIGHTS)) -> list[np.ndarray]:
    """The (H, W) maps that ``ms_ssim`` pools, the finest scale first: at most ``count``, as many as the size allows."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    count = max(1, min(count, 1 + int(np.log2(min(a.shape[:2]) / WINDOW))))
    maps = []
    for _ in range(count - 1):
        maps.append(contrast_structure(a, b))
        a, b = halved(a), halved(b)
    return [*maps, ssim_map(a, b)]


def pool_scales(maps: list[np.ndarray], mask: np.ndarray | None = None, weights: tuple[float, ...] = WEIGHTS) -> float:
    """The weighted product of the maps' means over the mask."""
    used, result = np.array(weights[: len(maps)]), 1.0
    for scale, weight in zip(maps, used / used.sum()):
        result *= max(mean_over(scale, mask), 0.0) ** weight
        if mask is not None:
            covered = halved(mask.astype(np.float64))
            mask = covered >= min(0.5, covered.max())  # a region smaller than a pixel keeps the one it is in
    return float(result)


def contrast_structure(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W): SSIM's term of contrast and structure without that of luminance, the channels' mean."""

    def blurred(x: np.ndarray) -> np.ndarray:
        return gaussian_filter(x, (SIGMA, SIGMA, 0), truncate=(WINDOW // 2) / SIGMA)

    mean_a, mean_b = blurred(a), blurred(b)
    both = blurred(a * b) - mean_a * mean_b
    own = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    return ((2 * both + C2) / (own + C2)).mean(-1)


def halved(x: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels, (H / 2, W / 2, ...); an odd last row or column is left out."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return x[:height, :width].reshape(height // 2, 2, width // 2, 2, *x.shape[2:]).mean((1, 3))


def temporal_error(made: np.ndarray, real: np.ndarray, frames: np.ndarray) -> float:
    """Mean absolute difference, of 255, between the changes from frame to frame of two clips (F, H, W, 3).

    frames: (F,) their numbers; only changes between successive ones count.
    """
    error = np.abs(np.diff(made.astype(np.int16), axis=0) - np.diff(real.astype(np.int16), axis=0))
    return float(error[np.diff(frames) == 1].mean())


def flicker(clip: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute change from frame to frame, of 255, of the mask's pixels of a clip (F, H, W, 3)."""
    return float(np.abs(np.diff(clip[:, mask].astype(np.int16), axis=0)).mean())


def landmark_error(made: np.ndarray, real: np.ndarray, eyes: tuple[tuple[int, int], tuple[int, int]]) -> float:
    """Mean distance of landmarks (L, 2) as a share of the distance of the real eyes' middles.

    eyes: the indices of each eye's corners.
    """
    middles = [real[list(corners)].mean(0) for corners in eyes]
    return float(np.linalg.norm(made - real, axis=-1).mean() / np.linalg.norm(middles[0] - middles[1]))


def mean_over(values: np.ndarray, mask: np.ndarray | None) -> float:
    """Mean of (H, W) values over the mask; without one, over all pixels whose window lies in the picture."""
    if mask is not None:
        return float(values[mask].mean()) if mask.any() else float("nan")
    pad = (WINDOW - 1) // 2
    inner = values[pad:-pad, pad:-pad]
    return float(inner.mean())
