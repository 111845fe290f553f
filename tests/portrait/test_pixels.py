"""What a clip's pixels mean: rotation, shape, formats, HDR, primaries."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from geometry.color import linear_to_srgb
from portrait.video import VideoReader, VideoWriter, tonemap
from portrait.video.sample import carphone
from tests.portrait.raw_video import picture, write_raw


@pytest.mark.parametrize("aspect", [Fraction(128, 117), Fraction(64, 45), Fraction(8, 9), Fraction(10, 11)])
@pytest.mark.parametrize("rotation", [0, 90])
def test_pixels_are_square_for_everybody_and_outputs_have_the_original_s(tmp_path, aspect, rotation):
    path = write_raw(tmp_path / "a.mp4", [picture(90, 72)] * 2, aspect=aspect, rotation=rotation)
    reader = VideoReader(path)
    width, height = (round(90 * aspect), 72) if aspect > 1 else (90, round(72 / aspect))
    expected = np.rot90(picture(width, height), rotation // 90)
    assert (reader.height, reader.width) == expected.shape[:2]
    frame = next(iter(reader))[2]
    assert np.abs(frame.astype(int) - expected)[..., :2].mean() < 5  # the third channel's pattern goes by pixels
    with VideoWriter(
        tmp_path / "b.mp4", reader.width, reader.height, reader.fps, pixel_aspect=reader.pixel_aspect
    ) as writer:
        writer.write(frame)
    again = VideoReader(tmp_path / "b.mp4")
    assert again.pixel_aspect == reader.pixel_aspect == (1 / aspect if rotation else aspect)
    assert again.stored == reader.stored == ((72, 90) if rotation else (90, 72))
    assert (again.width, again.height) == (reader.width, reader.height)
    assert np.abs(next(iter(again))[2].astype(int) - frame).mean() < 5
    assert VideoReader(path, square=False).width == reader.stored[0]


def test_the_installed_clip_s_pixels():
    source = VideoReader(carphone())
    assert (source.width, source.height, source.frame_count) == (193, 144, 120)
    assert source.pixel_aspect == Fraction(128, 117) and source.stored == (176, 144)


@pytest.mark.parametrize("transfer, code", [("HLG", 18), ("PQ", 16)])
def test_hdr_is_tone_mapped_and_said(tmp_path, transfer, code):
    """A scene of light is coded as HDR, with its white at 203 nits; it comes back as SDR shows it."""
    shown = picture().astype(float) / 255 * 0.7  # of SDR, below the roll-off
    light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    nits = 203 * light @ np.linalg.inv(tonemap.TO_BT709).T
    if transfer == "PQ":
        signal = tonemap.nits_to_pq(nits)
    else:
        scene = (nits @ tonemap.SHARES / 1000)[..., None] ** (1 / 1.2 - 1) * nits / 1000
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    deep = np.round(65535 * np.clip(signal, 0, 1)).astype(np.uint16)
    path = write_raw(tmp_path / "a.mkv", [deep] * 2, pix_fmt="yuv444p10le", colours=(9, code, 9))
    reader = VideoReader(path)
    assert reader.notes == [f"HDR video ({transfer}): tone-mapped to SDR by BT.2390"]
    assert reader.source["tone_mapped"] == transfer
    for _, _, frame in reader:
        assert np.abs(frame - 255 * shown).mean() < 3
        assert np.abs(frame - 255 * shown).max() < 25  # in a dark channel beside bright ones


def test_the_roll_off_keeps_order_and_ends_in_white():
    nits = np.linspace(0, tonemap.PEAK, 2000)
    light = tonemap.rolled_off(nits)
    assert (np.diff(light) > 0).all() and light[0] == 0
    assert light[-1] == pytest.approx(1, abs=1e-3)
    low = nits < 80
    np.testing.assert_allclose(light[low], nits[low] / tonemap.WHITE, rtol=1e-5, atol=1e-7)


def test_sdr_of_wide_primaries_becomes_srgb(tmp_path):
    shown = picture().astype(float) / 255 * 0.8 + 0.1
    light = ((shown + 0.055) / 1.055) ** 2.4
    wide = np.clip(light @ np.linalg.inv(tonemap.TO_BT709).T, 0.0031309, 1)
    deep = (65535 * linear_to_srgb(torch.from_numpy(wide))).round().numpy().astype(np.uint16)
    reader = VideoReader(write_raw(tmp_path / "a.mkv", [deep], pix_fmt="yuv444p10le", colours=(9, 14, 9)))
    assert np.abs(next(iter(reader))[2] - 255 * shown).mean() < 3 and reader.notes == []


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_metadata_is_applied(tmp_path, rotation):
    path = write_raw(tmp_path / "a.mp4", [picture()] * 3, rotation=rotation)
    reader = VideoReader(path)
    expected = np.rot90(picture(), rotation // 90)  # FFmpeg states the angle counter-clockwise
    assert (reader.height, reader.width) == expected.shape[:2]
    for _, _, frame in reader:
        assert np.abs(frame.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    "pix_fmt, codec",
    [
        ("gray", "libx264"),
        ("yuv420p10le", "libx264"),
        ("yuv444p", "libx264"),
        ("gray10le", "ffv1"),
        ("rgb24", "libx264rgb"),
    ],
)
def test_pixel_formats_become_rgb(tmp_path, pix_fmt, codec):
    path = write_raw(tmp_path / "a.mkv", [picture()] * 2, pix_fmt=pix_fmt, codec=codec)
    frames = [f for _, _, f in VideoReader(path)]
    assert len(frames) == 2 and frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8
    expected = picture().astype(int)
    if pix_fmt.startswith("gray"):
        expected = (expected @ [0.299, 0.587, 0.114]).round()[..., None].repeat(3, -1)
    # an untagged grey clip's range is a guess, so a little contrast may differ
    assert np.abs(frames[0] - expected).mean() < (10 if pix_fmt == "gray" else 4)
