import dataclasses
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from facemodel.track import FrameStatus
from foundation.errors import PortraitError
from neural_render.images import resize_square
from neural_render.methods.deep_video_portraits import conditioning
from neural_render.methods.deep_video_portraits.conditioning import (
    Crop,
    condition,
    head_boxes,
    head_crop,
    render_maps,
    shot_starts,
    window_frames,
)
from neural_render.methods.deep_video_portraits.data import ClipCache, plan_frames
from renderer import render
from tests.neural_render.conftest import FRAMES, HEIGHT, WIDTH, Frames

SIZE = 64


@pytest.fixture
def cache(tmp_path, track, clip, model):
    return ClipCache.build(tmp_path, track, clip, model, crop=head_crop(track, model), size=SIZE)


def test_windows_repeat_the_first_frame_and_end_with_the_current_one():
    windows = window_frames(np.array([0, 3, 12]), np.zeros(20, np.int64))
    assert windows.tolist() == [[0] * 11, [0] * 8 + [1, 2, 3], list(range(2, 13))]


def test_windows_do_not_reach_over_a_cut(track):
    status = track.status.clone()
    status[9] |= int(FrameStatus.CUT)
    starts = shot_starts(dataclasses.replace(track, status=status))
    assert starts.tolist() == [0] * 9 + [9] * (FRAMES - 9)
    assert window_frames(np.array([10]), starts).tolist() == [[9] * 10 + [10]]


def test_condition_has_99_channels_current_frame_last():
    maps = torch.randint(0, 256, (2, 11, 16, 16, 9), dtype=torch.uint8)
    x = condition(maps)
    assert x.shape == (2, 99, 16, 16)
    assert x.is_contiguous(memory_format=torch.channels_last)
    expected = maps[:, 10].permute(0, 3, 1, 2).float() / 127.5 - 1
    torch.testing.assert_close(x[:, 90:], expected)
    torch.testing.assert_close(x[:, :9], maps[:, 0].permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert condition(torch.zeros(1, 11, 4, 4, 9, dtype=torch.uint8)).eq(-1).all()
    assert condition(torch.full((1, 11, 4, 4, 9), 255, dtype=torch.uint8)).allclose(torch.ones(1))


def test_crop_holds_the_head_inside_the_frame(track, model):
    crop, boxes = head_crop(track, model), head_boxes(track, model)
    assert 0 <= crop.x0 <= WIDTH - crop.side
    assert 0 <= crop.y0 <= HEIGHT - crop.side
    assert (boxes[:, 0] >= crop.x0).all()
    assert (boxes[:, 2] <= crop.x0 + crop.side).all()


def test_crop_without_a_face_is_refused(track, model):
    with pytest.raises(PortraitError, match="found none"):
        head_crop(dataclasses.replace(track, status=torch.zeros_like(track.status)), model)


def test_maps_in_the_crop_are_the_crop_of_the_maps(track, model):
    crop = Crop(30, 10, 96)
    inside = render_maps(model, track, torch.tensor([3]), crop, 96)[0]
    camera, chosen = conditioning.camera_for(track), track.parameters[torch.tensor([3])]
    full = render(model, chosen, camera, conditioning.MAPS, supersample=2)
    full = torch.cat([full[name] for name in conditioning.MAPS], -1)[0, 10:106, 30:126]
    difference = np.abs(inside - full.numpy() * 255)
    assert (difference.max(-1) < 1).mean() > 0.999
    assert inside[..., :3].any()
    assert inside[..., 3:6].any()


def test_cache_leaves_out_untracked_frames_and_gives_the_crop(cache, track, clip, model):
    assert cache.frames.tolist() == [k for k in range(FRAMES) if k != 5]
    crop = head_crop(track, model)
    expected = clip.frames[7, crop.y0 : crop.y0 + crop.side, crop.x0 : crop.x0 + crop.side]
    maps, images = cache.batch(np.array([6]))
    assert np.array_equal(images[0].numpy(), resize_square(expected, SIZE))
    assert np.array_equal(maps[0, -1].numpy(), render_maps(model, track, torch.tensor([7]), crop, SIZE)[0])
    assert np.array_equal(maps[0, 0].numpy(), maps[0, 1].numpy()) is (7 - 10 < 0 and 7 - 9 < 0)


def test_cache_is_used_again_and_remade_when_inputs_change(cache, tmp_path, track, clip, model):
    options = {"crop": head_crop(track, model), "size": SIZE}
    before = clip.starts
    ClipCache.build(tmp_path, track, clip, model, **options)
    assert clip.starts == before
    changed = track.with_parameters(track.parameters.replace(gaze=track.parameters.gaze + 0.1))
    again = ClipCache.build(tmp_path, changed, clip, model, **options)
    assert clip.starts == before + 1
    assert again.name != cache.name


def test_half_made_cache_is_made_again(cache, tmp_path, track, clip, model):
    (tmp_path / "cache.json").unlink()
    (tmp_path / "maps.u8").write_bytes(b"x" * 10)
    again = ClipCache.build(tmp_path, track, clip, model, crop=head_crop(track, model), size=SIZE)
    assert again.maps(np.array([FRAMES - 1])).shape == (1, SIZE, SIZE, 9)


@pytest.mark.parametrize("spoil", ["cache.json", "maps.u8", "images.u8"])
def test_a_spoilt_cache_is_made_again(tmp_path, track, clip, model, spoil):
    build = lambda: ClipCache.build(tmp_path, track, clip, model, crop=head_crop(track, model), size=SIZE)  # noqa: E731
    wanted = build().maps(np.arange(FRAMES))
    (tmp_path / spoil).write_bytes((tmp_path / spoil).read_bytes()[:-5])
    assert np.array_equal(build().maps(np.arange(FRAMES)), wanted)


def test_cache_on_disk_is_bounded(tmp_path, track, clip, model):
    limit = 12 * SIZE * SIZE * 12
    cache = ClipCache.build(tmp_path, track, clip, model, crop=head_crop(track, model), size=SIZE, limit_bytes=limit)
    assert sum(os.path.getsize(tmp_path / name) for name in ("maps.u8", "images.u8")) <= limit
    assert len(cache) > 0
    windows = window_frames(cache.frames, cache.starts)
    assert np.isin(windows, cache.kept).all()


def test_frames_kept_of_a_long_clip_are_spread_runs():
    kept = plan_frames(100_000, 1000)
    assert len(kept) <= 1000
    assert (kept[0], kept[-1]) == (0, 99_999)
    assert np.array_equal(plan_frames(50, 1000), np.arange(50))


def test_reading_maps_does_not_hold_the_file_in_memory(tmp_path, track, clip, model):
    """What stays resident after reading every window is the batch, not the mapping."""
    cache = ClipCache.build(tmp_path, track, clip, model, crop=head_crop(track, model), size=SIZE)
    cache.batch(np.arange(len(cache)))
    assert "maps.u8" not in Path("/proc/self/maps").read_text()


def repeated(track, count: int):
    """A track of ``count`` frames that plays another's again and again."""
    rows = torch.arange(count) % len(track)
    p = track.parameters
    frames = ("expression", "rotation", "translation", "illumination", "gaze")
    return dataclasses.replace(
        track, parameters=p.replace(**{name: getattr(p, name)[rows] for name in frames}),
        times=torch.arange(count).double() / 25, status=torch.ones(count, dtype=torch.int64),
        confidence=torch.ones(count),
    )  # fmt: skip


def test_an_hour_takes_the_memory_of_a_minute(tmp_path, track, clip, model):
    """What NumPy holds at most while the cache is made and read, beside some 64 bytes a frame for its index."""
    limit, size, peaks, resident = 110 * 16 * 16 * 12, 16, [], []
    for seconds in (60, 3600):
        long = repeated(track, 25 * seconds)
        frames = ((k, k / 25, clip.frames[k % FRAMES]) for k in range(len(long)))
        tracemalloc.start()
        cache = ClipCache.build(
            tmp_path / str(seconds), long, frames, model, crop=Crop(30, 10, 96), size=size, limit_bytes=limit
        )
        read = [cache.batch(np.array([k]))[0] for k in range(len(cache))][-1]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        resident.append(sum(f.stat().st_size for f in (tmp_path / str(seconds)).iterdir()))
        assert read.shape == (1, 11, size, size, 9)
        assert len(cache) >= 80
    assert max(resident) <= limit + 1000
    assert peaks[1] - peaks[0] < 64 * 25 * 3540 + 1_000_000, peaks


def test_other_video_is_refused(tmp_path, track, clip, model):
    options = {"crop": head_crop(track, model), "size": SIZE}
    with pytest.raises(PortraitError, match="ended before frame 9"):
        ClipCache.build(tmp_path, track, Frames(clip.frames[:9]), model, **options)
    with pytest.raises(PortraitError, match="expected frames of 160 x 120 as in the track, got 80 x 60"):
        ClipCache.build(tmp_path, track, Frames(clip.frames[:, ::2, ::2]), model, **options)


def test_head_region_covers_the_head(cache):
    region = cache.head_region()
    assert region.shape == (SIZE, SIZE)
    assert region.max() == 255
    assert region[0, 0] == 0


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path, model, track, clip):
    (tmp_path / "file").write_text("")
    with pytest.raises(PortraitError, match="training data '.*file/cache': can't be written"):
        ClipCache.build(tmp_path / "file" / "cache", track, clip, model, crop=head_crop(track, model), size=SIZE)
