"""Video in and out, on files made here: sizes, rotation, times, pixel formats, sound, bad input, atomicity."""

import itertools
import os
import shutil
import subprocess
import zlib
from fractions import Fraction

import av
import numpy as np
import pillow_heif
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facemodel import PortraitError
from geometry.color import linear_to_srgb
from portrait.video import ImageReader, VideoReader, VideoWriter, open_frames, read_comment, read_image, tonemap
from portrait.video.sample import carphone
from portrait.video.writer import check_writable


def picture(width=64, height=48, shift=0):
    """A smooth colourful picture, (height, width, 3) uint8, which H.264 keeps well."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x / width, y / height, 0.5 + 0.4 * np.sin((x + shift) / 9)], -1)
    return (255 * image).astype(np.uint8)


def write_raw(
    path, frames, pix_fmt="yuv420p", rate=25, codec="libx264", rotation=0, audio=None, aspect=None, colours=()
):
    """A clip as another program would write it; ``colours`` are the codes of primaries, transfer and matrix."""
    with av.open(os.path.abspath(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options={"crf": "12"} if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if colours:
            codec = stream.codec_context
            codec.color_primaries, codec.color_trc, codec.colorspace = colours
        if rotation:
            stream.set_display_rotation(rotation)
        if audio:
            sound = out.add_stream(audio, rate=8000, layout="mono")
        for frame in frames:
            kind = "rgb24" if frame.dtype == np.uint8 else "rgb48le"
            matrix = {"dst_colorspace": colours[2]} if colours else {}
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=kind).reformat(format=pix_fmt, **matrix)))
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


TURNED = {
    2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud, 5: lambda p: np.rot90(np.fliplr(p)),
    6: np.rot90, 7: lambda p: np.rot90(np.fliplr(p), -1), 8: lambda p: np.rot90(p, -1),
}  # fmt: skip
"""How an upright picture lies in a file, by EXIF's orientation."""


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "heic", "avif"])
@pytest.mark.parametrize("orientation", TURNED)
def test_images_are_upright_in_every_container(tmp_path, suffix, orientation):
    from PIL import Image

    if suffix == "heic":
        pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    lying = np.ascontiguousarray(TURNED[orientation](picture(96, 64)))
    Image.fromarray(lying).save(path, exif=exif.tobytes() if suffix == "heic" else exif, quality=95)
    reader = open_frames(path)
    ((_, _, frame),) = reader
    assert (reader.width, reader.height) == (96, 64) and frame.shape == (64, 96, 3)
    assert np.abs(frame.astype(int) - picture(96, 64)).mean() < 5


@pytest.mark.parametrize("boxes", [True, False])
def test_heif_s_own_turn_counts_before_exif_s(tmp_path, boxes):
    """Phones let a box turn the picture, and EXIF say the same once more; others write EXIF alone."""
    path, tag = tmp_path / "a.heic", b"\x01\x12\0\x03\0\0\0\x01\0"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + tag + (b"\6" if boxes else b"\1") + b"\0" * 6
    lying = np.ascontiguousarray(np.rot90(picture(96, 64)))
    pillow_heif.from_bytes("RGB", (64, 96), lying.tobytes()).save(path, quality=95, exif=exif)
    data = path.read_bytes()
    assert (b"irot" in data) == boxes
    path.write_bytes(data.replace(tag + b"\1", tag + b"\6"))
    assert np.abs(read_image(path).astype(int) - picture(96, 64)).mean() < 5


def test_wide_gamut_and_deep_pictures_become_srgb(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "grey.png"), picture()[..., 0].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), picture()[..., :1].repeat(3, 2))
    cv2.imwrite(str(tmp_path / "deep.tif"), picture()[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.tif"), picture())
    cv2.imwrite(str(tmp_path / "float.tif"), picture()[..., 0].astype(np.float32) / 255)
    with pytest.raises(PortraitError, match="float.tif': holds floating-point numbers"):
        read_image(tmp_path / "float.tif")
    wide = (0.5 * 65535 * np.ones((64, 96, 3))).astype(np.uint16)
    deep = pillow_heif.from_bytes("RGB;16", (96, 64), wide.tobytes())
    for code, expected in ((18, 92), (16, 166)):  # half the signal: 50 nits in HLG, 92 in PQ, of 203
        colours = {"color_primaries": 9, "transfer_characteristics": code, "matrix_coefficients": 9}
        deep.save(tmp_path / "hdr.heic", quality=95, full_range_flag=1, **colours)
        assert abs(float(read_image(tmp_path / "hdr.heic").mean()) - expected) < 60


@pytest.mark.parametrize("name, aspect", [("a.png", Fraction(64, 45)), ("b.jpg", Fraction(8, 9))])
def test_stills_of_pixels_that_are_not_square(tmp_path, name, aspect):
    """Frames cut from a clip of such pixels say so by the same numbers."""
    from PIL import Image

    Image.fromarray(picture(90, 96)).save(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    down, across = aspect.numerator, aspect.denominator
    if name.endswith("png"):  # a chunk after the header
        chunk = b"pHYs" + across.to_bytes(4, "big") + down.to_bytes(4, "big") + b"\0"
        data[33:33] = b"\0\0\0\x09" + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    else:
        data[13:18] = b"\0" + across.to_bytes(2, "big") + down.to_bytes(2, "big")
    (tmp_path / name).write_bytes(bytes(data))
    reader = open_frames(tmp_path / name)
    assert (reader.width, reader.height) == ((128, 96) if aspect > 1 else (90, 108))
    assert next(iter(reader))[2].shape == (reader.height, reader.width, 3)


def test_hidden_files_of_a_folder_are_left_alone(tmp_path):
    from PIL import Image

    for k in range(2):
        Image.fromarray(picture()).save(tmp_path / f"frame_{k}.png")
        (tmp_path / f"._frame_{k}.png").write_bytes(b"\0\5\26\7 a twin, not a picture")
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    assert [p.name for p in open_frames(tmp_path).files] == ["frame_0.png", "frame_1.png"]


@pytest.mark.parametrize("name", ["take:1.mp4", "-o.mp4", "http:x.mp4", "a%03d.mp4", "pipe:.mp4", "déjà vu.mp4"])
def test_a_name_is_a_file_s(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_raw(name, [picture()] * 3, audio="aac")
    assert len(list(VideoReader(name))) == 3
    with VideoWriter(f"2{name}", 64, 48, 25, audio_from=name) as writer:
        writer.write(picture())
    assert VideoReader(f"2{name}").audio


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
