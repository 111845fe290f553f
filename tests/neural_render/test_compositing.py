import numpy as np
import pytest

from foundation.errors import PortraitError
from neural_render.compositing import SHARED, changed_mask, composite, detailed, feather_mask, paste
from neural_render.frames import FrameCursor
from neural_render.images import resize_square
from neural_render.methods.deep_video_portraits.conditioning import Crop


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_outside_the_crop_nothing_changes(size):
    frame, crop = noise(90, 161), Crop(40, 20, 60)
    before = frame.copy()
    result = paste(frame, noise(size, size, 1), crop, feather_mask(crop, 161, 90))
    assert result.shape == frame.shape
    assert np.array_equal(frame, before)
    outside = np.ones((90, 161), bool)
    outside[20:80, 40:100] = False
    assert np.array_equal(result[outside], frame[outside])
    assert not np.array_equal(result[40:60, 60:80], frame[40:60, 60:80])


def test_the_border_is_smooth_and_the_middle_is_synthesised():
    crop = Crop(40, 20, 60)
    frame, image = np.zeros((90, 161, 3), np.uint8), np.full((60, 60, 3), 200, np.uint8)
    result = paste(frame, image, crop, feather_mask(crop, 161, 90)).astype(int)
    assert (result[40:60, 60:80] == 200).all()
    assert np.abs(np.diff(result[50, :, 0])).max() < 100
    assert len(np.unique(result[50, 35:50, 0])) >= 4
    assert result[20, 40].max() < 10


def test_no_feather_at_the_edge_of_the_frame():
    mask = feather_mask(Crop(0, 0, 60), 100, 60)
    assert mask[0, 0] == mask[59, 0] == 1  # left, top and bottom are the frame's own
    assert mask[30, 59] < 0.1


def test_an_identical_image_changes_nothing():
    frame, crop = noise(90, 90), Crop(10, 15, 64)
    image = frame[15:79, 10:74].copy()
    assert np.array_equal(paste(frame, image, crop, feather_mask(crop, 90, 90)), frame)


def test_background_that_agrees_keeps_its_own_pixels():
    """A crop synthesised at a quarter of the resolution blurs the background; only the head is replaced."""
    frame, crop = noise(256, 300) // 40 + 100, Crop(20, 0, 256)
    image = np.full((64, 64, 3), 103, np.uint8)
    image[24:40, 24:40] = (220, 180, 160)
    head = np.zeros((64, 64), bool)
    head[24:40, 24:40] = True
    result = composite(frame, image, head, crop, feather_mask(crop, 300, 256))
    assert np.array_equal(result[:40], frame[:40])
    assert np.array_equal(result[:, 276:], frame[:, 276:])
    assert np.abs(result[112:144, 132:164].astype(int) - (220, 180, 160)).max() <= 2


def test_detail_comes_where_both_show_the_same():
    sharp, nowhere = noise(96, 96) // 6 + 100, np.zeros((32, 32), bool)
    image = resize_square(sharp, 32)
    assert np.abs(detailed(image, sharp, nowhere).astype(int) - sharp).max() <= 1
    elsewhere = image.copy()
    elsewhere[:, 16:] = 20  # another thing is there
    found = detailed(elsewhere, sharp, ~nowhere).astype(int)
    assert np.abs(found[:, :36] - sharp[:, :36]).max() <= 1
    assert np.abs(found[:, 60:] - 20).max() <= 1


@pytest.mark.parametrize("side", [16, 32, 64])
def test_on_the_head_the_two_are_mixed(side):
    head = np.zeros((32, 32), bool)
    head[:, 16:] = True
    found = detailed(np.full((32, 32, 3), 100, np.uint8), np.full((side, side, 3), 110, np.uint8), head)
    assert (found[:, -side // 4 :] == round(100 + 10 * SHARED)).all()
    assert (found[:, : side // 4] == 100).all()


def test_the_originals_head_is_covered_where_the_new_one_is_elsewhere():
    original, image = np.full((64, 64, 3), 100, np.uint8), np.full((64, 64, 3), 100, np.uint8)
    original[20:44, 4:28] = 200
    image[20:44, 36:60] = 200
    head = np.zeros((64, 64), bool)
    head[20:44, 36:60] = True
    mask = changed_mask(image, original, head)
    assert mask[24:40, 8:24].min() > 0.95
    assert mask[24:40, 40:56].min() > 0.95
    assert mask[:6].max() < 0.05
    assert np.abs(np.diff(mask, axis=1)).max() < 0.35


class Clip:
    """A re-iterable that counts how often it was started."""

    def __init__(self, count):
        self.count, self.starts = count, 0

    def __iter__(self):
        self.starts += 1
        for k in range(self.count):
            yield k, k / 25, np.full((4, 4, 3), k, np.uint8)


def test_cursor_goes_forwards_once_and_backwards_within_bounds():
    clip = Clip(40)
    cursor = FrameCursor(clip, limit_bytes=48 * 10)
    there = [int(cursor.at(k)[0, 0, 0]) for k in range(40)]
    assert (there, clip.starts) == (list(range(40)), 1)
    back = [int(cursor.at(k)[0, 0, 0]) for k in reversed(range(40))]
    assert back == there[::-1]
    assert clip.starts <= 5
    assert len(cursor._recent) <= 10


def test_cursor_beyond_the_end():
    with pytest.raises(PortraitError, match="at least 9 frames, it ended after 5"):
        FrameCursor(Clip(5)).at(8)
