"""Video in and out, on files made here: sizes, rotation, times, pixel formats, sound, bad input, atomicity."""

import itertools
import shutil
import subprocess

import av
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemodel import PortraitError
from portrait.video import VideoReader, VideoWriter, open_frames, read_comment
from portrait.video.sample import carphone
from portrait.video.writer import check_writable
from tests.portrait.raw_video import picture, write_raw


def test_round_trip_keeps_colours_times_and_tags(tmp_path):
    frames = [picture(shift=3 * k) for k in range(10)]
    times = [0.0, 0.04, 0.08, 0.20, 0.24, 0.28, 0.5, 0.54, 0.58, 0.9]  # a variable rate
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 25, metadata={"synthetic": True, "name": "é"}) as writer:
        for frame, time in zip(frames, times):
            writer.write(frame, time)
    reader = VideoReader(tmp_path / "a.mp4")
    for _ in range(2):  # can be iterated again
        got = list(reader)
        assert [i for i, _, _ in got] == list(range(10))
        np.testing.assert_allclose([t for _, t, _ in got], times, atol=1e-4)
        assert np.mean([np.abs(f.astype(int) - g).mean() for f, (_, _, g) in zip(frames, got)]) < 4
    assert read_comment(reader.metadata) == {"synthetic": True, "name": "é"}
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_odd_size_is_padded(tmp_path, suffix):
    with VideoWriter(tmp_path / f"a{suffix}", 63, 47, 30) as writer:
        writer.write(picture(63, 47))
    reader = VideoReader(tmp_path / f"a{suffix}")
    ((_, _, frame),) = reader
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame[:47, :63].astype(int) - picture(63, 47)).mean() < 4


@pytest.mark.parametrize("suffix, codec", [(".mp4", "aac"), (".mkv", "pcm_s16le")])
def test_sound_is_copied_and_trimmed(tmp_path, suffix, codec):
    source = write_raw(tmp_path / f"source{suffix}", [picture()] * 50, audio=codec)
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 25, audio_from=source) as writer:
        for _ in range(25):
            writer.write(picture())
    with av.open(str(tmp_path / "a.mp4")) as out:
        seconds = sum(f.samples / f.sample_rate for f in out.decode(audio=0))
    assert 0.95 < seconds < 1.2
    if codec == "aac":  # bit for bit

        def packets(p):
            return [bytes(x) for x in av.open(str(p)).demux(audio=0) if x.size]

        copied = packets(tmp_path / "a.mp4")
        assert copied == packets(source)[: len(copied)]


def test_leaving_by_an_exception_writes_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("what was there")
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 64, 48, 25) as writer:
        writer.write(picture())
        raise KeyboardInterrupt
    assert path.read_text() == "what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_full_disk_is_one_clear_error(tmp_path):
    """On a real, tiny file system where one may be mounted."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = (
        shutil.which("mount")
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    try:
        noise = np.random.default_rng(0).integers(0, 255, (30, 144, 176, 3), np.uint8)
        with pytest.raises(PortraitError, match="disk is full"), VideoWriter(small / "a.mp4", 176, 144, 25) as writer:
            for frame in noise:
                writer.write(frame)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_bad_videos(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 100)
    whole = carphone().read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        sound = out.add_stream("aac", rate=8000, layout="mono")
        chunk = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        chunk.sample_rate = 8000
        out.mux(sound.encode(chunk))
        out.mux(sound.encode(None))
    for name, message in [
        ("text.mp4", "can't be read as a video"),
        ("cut.mp4", "truncated"),
        ("empty.mp4", "empty"),
        ("none.mp4", "no such file"),
        (".", "found a folder"),
        ("sound.mp4", "no pictures"),
    ]:
        with pytest.raises(PortraitError, match=message) as caught:
            VideoReader(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_video_without_frames(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        out.start_encoding()
    with pytest.raises(PortraitError, match="0 frames|can't be read"):
        VideoReader(tmp_path / "a.mkv")
    with pytest.raises(PortraitError, match="0 frames"), VideoWriter(tmp_path / "b.mp4", 16, 16, 25):
        pass


def test_truncated_video_with_its_index_in_front(tmp_path):
    with av.open(str(tmp_path / "whole.mp4"), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "5"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for k in range(40):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(shift=20 * k))))
        out.mux(stream.encode(None))
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(PortraitError, match=r"truncated, only \d+ of its 40 frames"):
        VideoReader(tmp_path / "cut.mp4")


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(PortraitError, match="expected a name ending"):
        VideoWriter(tmp_path / "a.txt", 16, 16, 25)
    with pytest.raises(PortraitError, match="found a folder"):
        check_writable(tmp_path)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from([".mp4", ".mkv", ".png", ".jpg", ".webp", ".tif", ".heic", ".avif"]), data=st.data())
def test_a_broken_file_is_one_clear_error(samples, kind, data):
    """Cut short, or with bytes changed anywhere: read, or refused by PortraitError."""
    whole = samples[kind].read_bytes()
    broken = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for _ in range(data.draw(st.integers(0, 30))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path = samples[kind].with_name(f"broken{kind}")
    path.write_bytes(bytes(broken))
    try:
        for _, _, frame in itertools.islice(open_frames(path), 4):
            assert frame.dtype == np.uint8 and frame.ndim == 3
    except PortraitError as error:
        assert "\n" not in str(error)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A small whole file of each kind."""
    from PIL import Image

    pillow_heif.register_heif_opener()
    folder = tmp_path_factory.mktemp("samples")
    paths = {k: folder / f"whole{k}" for k in (".mp4", ".mkv", ".png", ".jpg", ".webp", ".tif", ".heic", ".avif")}
    for kind, path in paths.items():
        if kind in (".mp4", ".mkv"):
            write_raw(path, [picture(shift=k) for k in range(4)], audio="aac")
        else:
            Image.fromarray(picture()).save(path)
    return paths
