"""Passes over pixels against the same in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from neural_render.methods.face2face import kernels


@pytest.fixture
def pictures():
    draw = np.random.default_rng(0)
    taken, rest = draw.integers(0, 256, (9, 11, 4), dtype=np.uint8), draw.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return taken, rest, draw.uniform(0.3, 1.8, (9, 11, 3)).astype(np.float32)


def rounded(values) -> np.ndarray:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def test_lit(pictures):
    taken, _, ratio = pictures
    out = np.empty((9, 11, 3), np.uint8)
    kernels.lit(taken[..., :3], ratio, out)
    assert np.abs(out.astype(int) - rounded(taken[..., :3] * ratio)).max() <= 1
    kernels.lit(taken[..., :3], np.ones_like(ratio), out)
    assert np.array_equal(out, taken[..., :3])


def test_lit_over(pictures):
    taken, rest, ratio = pictures
    out = np.empty((9, 11, 3), np.uint8)
    kernels.lit_over(taken, ratio, rest, out)
    alpha = taken[..., 3:] / 255
    assert np.abs(out.astype(int) - rounded(alpha * taken[..., :3] * ratio + (1 - alpha) * rest)).max() <= 1


def test_mixed(pictures):
    taken, rest, ratio = pictures
    out, offset = np.empty((9, 11, 3), np.uint8), 20 * ratio - 20
    kernels.mixed(taken[..., :3], rest, offset, taken[..., 3], out)
    share = taken[..., 3:] / 255
    assert np.abs(out.astype(int) - rounded(taken[..., :3] * (1 - share) + (rest + offset) * share)).max() <= 1
    kernels.mixed(taken[..., :3], rest, 0 * offset, np.full((9, 11), 255, np.uint8), out)
    assert np.array_equal(out, rest)
