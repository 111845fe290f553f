"""The metrics against scikit-image, closed forms and what they are for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.image_metrics import (
    contrast_structure,
    flicker,
    halved,
    landmark_error,
    ms_ssim,
    psnr,
    ssim,
    ssim_map,
    temporal_error,
)

FACE = astronaut()[:192, 128:320]


def noisy(strength: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, strength, FACE.shape)
    return (FACE + noise).round().clip(0, 255).astype(np.uint8)


def test_psnr_is_scikit_image_s():
    assert psnr(FACE, noisy(20)) == pytest.approx(peak_signal_noise_ratio(FACE, noisy(20)))
    assert psnr(FACE, FACE) == float("inf")


def test_ssim_is_scikit_image_s():
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    expected = structural_similarity(FACE, noisy(20), data_range=255, **options)
    assert ssim(FACE, noisy(20)) == pytest.approx(expected)
    assert ms_ssim(FACE, noisy(20), weights=(1.0,)) == pytest.approx(expected)  # one scale is plain SSIM


def test_contrast_structure_is_ssim_without_luminance():
    """Where both pictures have the same local means, the luminance term is one."""
    rows, columns = np.mgrid[:96, :96]
    board = (2 * ((rows + columns) % 2) - 1)[..., None] * np.ones(3)
    a, b = 128 + 40 * board, 128 + 25 * board
    assert np.allclose(contrast_structure(a, b)[8:-8, 8:-8], ssim_map(a, b)[8:-8, 8:-8], atol=1e-4)
    expected = (2 * 40 * 25 + 58.5225) / (40**2 + 25**2 + 58.5225)
    assert np.allclose(contrast_structure(a, b)[8:-8, 8:-8], expected, atol=1e-3)
    assert np.allclose(contrast_structure(a, a + 60)[8:-8, 8:-8], 1)  # brightness alone doesn't count


def test_ms_ssim_is_the_weighted_product_of_its_scales():
    a, b, expected = FACE.astype(float), noisy(30).astype(float), 1.0
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    for k, weight in enumerate(weights / weights.sum()):
        scale = (contrast_structure if k < 4 else ssim_map)(a, b)[5:-5, 5:-5].mean()
        expected *= scale**weight
        a, b = halved(a), halved(b)
    assert ms_ssim(FACE, noisy(30)) == pytest.approx(expected)
    small = FACE[:128, :128]
    assert 0 <= ms_ssim(small, small[::-1]) < ms_ssim(small, noisy(10)[:128, :128]) < ms_ssim(small, small) == 1


@given(st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_more_noise_is_worse(seed):
    little, much = noisy(5, seed), noisy(40, seed)
    for metric in (psnr, ssim, ms_ssim):
        assert metric(FACE, little) > metric(FACE, much)
        assert metric(FACE, much) == pytest.approx(metric(much, FACE))


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim])
def test_a_mask_looks_only_there(metric):
    mask = np.zeros(FACE.shape[:2], bool)
    mask[:, :64] = True
    far = FACE.copy()
    far[:, 128:] = 0  # farther away than any window reaches at the finest scale
    assert metric(FACE, far, mask) > metric(FACE, far)
    assert metric(FACE, far, mask) > metric(FACE, far, ~mask)
    assert metric(FACE, noisy(20), np.ones_like(mask)) == pytest.approx(
        metric(FACE, noisy(20)), rel=0.06
    )  # and the rim


def test_a_region_smaller_than_the_coarsest_pixels_counts_still():
    mask = np.zeros(FACE.shape[:2], bool)
    mask[81:84, 81:84] = True
    assert 0 < ms_ssim(FACE, noisy(10), mask) < 1


def test_temporal_error_counts_changes_not_offsets():
    clip = np.random.default_rng(0).integers(0, 200, (4, 8, 8, 3), dtype=np.uint8)
    assert temporal_error(clip + 50, clip, np.arange(4)) == 0
    flat = np.full_like(clip, 90)
    steps = np.abs(np.diff(clip.astype(int), axis=0))
    assert temporal_error(flat, clip, np.arange(4)) == pytest.approx(steps.mean())
    assert temporal_error(flat, clip, np.array([0, 1, 5, 6])) == pytest.approx(steps[[0, 2]].mean())  # a gap


def test_flicker_of_a_region():
    clip = np.zeros((3, 4, 4, 3), np.uint8)
    clip[1, :2] = 10
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    assert flicker(clip, mask) == 10 and flicker(clip, ~mask) == 0 and flicker(clip, mask | True) == 5


def test_landmark_error_is_a_share_of_the_eyes_distance():
    points = np.array([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [12.0, 0.0], [6.0, 9.0]])
    assert landmark_error(points + [3.0, 4.0], points, ((0, 1), (2, 3))) == pytest.approx(0.5)
