"""Video in and out, on files made here: sizes, rotation, times, pixel formats, sound, bad input, atomicity."""

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from facemodel import PortraitError
from portrait.video import ImageReader, VideoReader, VideoWriter, open_frames, read_comment
from portrait.video.sample import carphone
from portrait.video.writer import check_writable


def picture(width=64, height=48, shift=0):
    """A smooth colourful picture, (height, width, 3) uint8, which H.264 keeps well."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x / width, y / height, 0.5 + 0.4 * np.sin((x + shift) / 9)], -1)
    return (255 * image).astype(np.uint8)


def write_raw(path, frames, pix_fmt="yuv420p", rate=25, codec="libx264", rotation=0, audio=None):
    """A clip as another program would write it."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options={"crf": "12"} if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if rotation:
            stream.set_display_rotation(rotation)
        if audio:
            sound = out.add_stream(audio, rate=8000, layout="mono")
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame).reformat(format=pix_fmt)))
        out.mux(stream.encode(None))
        if audio:
            for k in range(len(frames)):
                samples = (8000 * np.sin(np.arange(320) / 5)).astype(np.int16)[None]
                chunk = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                chunk.sample_rate, chunk.pts, chunk.time_base = 8000, 320 * k, Fraction(1, 8000)
                out.mux(sound.encode(chunk))
            out.mux(sound.encode(None))
    return path


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


def test_images_of_several_sizes_are_frames_of_one(tmp_path):
    """Scaled to the median's diagonal, in the middle of black; turned as their EXIF says."""
    from PIL import Image

    Image.fromarray(np.full((40, 30, 3), 200, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((80, 60, 3), 150, np.uint8)).save(tmp_path / "b.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright
    Image.fromarray(np.full((60, 80, 3), 100, np.uint8)).save(tmp_path / "c.jpg", exif=exif, quality=100)
    Image.fromarray(np.full((60, 80, 3), 50, np.uint8)).save(tmp_path / "d.png")
    reader = open_frames(tmp_path)
    assert reader.sizes == [(30, 40), (60, 80), (60, 80), (80, 60)] and reader.several_sizes
    assert (reader.width, reader.height) == (80, 80)
    frames = [frame for _, _, frame in reader]
    for frame, value in zip(frames, (200, 150, 100)):
        assert frame.shape == (80, 80, 3)
        assert (np.abs(frame[:, 10:70].astype(int) - value) <= 1).all()
        assert not frame[:, :10].any() and not frame[:, 70:].any()
    assert (frames[3][10:70] == 50).all() and not frames[3][:10].any()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_an_image_has_the_size_that_its_header_was_read_for(tmp_path, suffix):
    """Whatever a decoder makes of its EXIF."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(np.full((60, 80, 3), 100, np.uint8)).save(path, exif=exif)
    reader = open_frames(path)
    ((_, _, frame),) = reader
    assert frame.shape == (reader.height, reader.width, 3)


def test_images_and_folders(tmp_path):
    import cv2

    for k in (10, 9):
        cv2.imwrite(str(tmp_path / f"frame{k}.png"), picture(shift=k)[..., ::-1])
    cv2.imwrite(str(tmp_path / "grey.png"), picture()[..., 0])
    (tmp_path / "notes.txt").write_text("ignored")
    reader = open_frames(tmp_path)
    assert isinstance(reader, ImageReader) and reader.frame_count == 3
    assert [p.name for p in reader.files] == ["frame9.png", "frame10.png", "grey.png"]
    frames = list(reader)
    np.testing.assert_array_equal(frames[0][2], picture(shift=9))
    assert frames[2][2].shape == (48, 64, 3)
    cv2.imwrite(str(tmp_path / "grey.png"), picture(20, 20))
    with pytest.raises(PortraitError, match="was 64 x 48, is 20 x 20 now"):
        list(reader)
    assert len(list(open_frames(tmp_path / "frame9.png"))) == 1
    (tmp_path / "bad.png").write_text("no")
    with pytest.raises(PortraitError, match="can't be read as an image"):
        open_frames(tmp_path / "bad.png")
    (tmp_path / "none").mkdir()
    with pytest.raises(PortraitError, match="holds no images"):
        open_frames(tmp_path / "none")


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(PortraitError, match="expected a name ending"):
        VideoWriter(tmp_path / "a.txt", 16, 16, 25)
    with pytest.raises(PortraitError, match="found a folder"):
        check_writable(tmp_path)


def test_pixel_aspect_is_kept(tmp_path):
    source = VideoReader(carphone())
    assert (source.width, source.height, source.frame_count) == (176, 144, 120)
    with VideoWriter(tmp_path / "a.mp4", 176, 144, source.fps, pixel_aspect=source.pixel_aspect) as writer:
        writer.write(next(iter(source))[2])
    assert VideoReader(tmp_path / "a.mp4").pixel_aspect == source.pixel_aspect == Fraction(128, 117)
