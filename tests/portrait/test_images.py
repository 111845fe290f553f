"""Pictures and folders of them as frames: upright, sRGB, of square pixels."""

import struct
import zlib
from fractions import Fraction

import numpy as np
import pillow_heif
import pytest

from facemodel import PortraitError
from portrait.video import ImageReader, VideoReader, VideoWriter, open_frames, read_image
from portrait.video.tonemap import to_sdr
from tests.portrait.raw_video import picture, write_raw

TURNED = {
    2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud, 5: lambda p: np.rot90(np.fliplr(p)),
    6: np.rot90, 7: lambda p: np.rot90(np.fliplr(p), -1), 8: lambda p: np.rot90(p, -1),
}  # fmt: skip
"""How an upright picture lies in a file, by EXIF's orientation."""


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


def with_chunk(png, kind, data):
    """A PNG's bytes with a chunk after its header, which ends at byte 33."""
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:33] + chunk + png[33:]


@pytest.mark.parametrize("kind, data, transfer", [
    (b"cICP", bytes([9, 16, 0, 1]), "PQ"),
    (b"cICP", bytes([9, 18, 0, 1]), "HLG"),
    (b"iCCP", b"ITUR_2100_PQ_FULL\0\0" + zlib.compress(b"what is in it doesn't count"), "PQ"),
    (b"cICP", bytes([1, 13, 0, 1]), None),
])  # fmt: skip
@pytest.mark.parametrize("depth", [8, 16])
def test_hdr_png(tmp_path, kind, data, transfer, depth):
    """As to_sdr has it, and turned as EXIF says; one that says it is sRGB stays as it is."""
    import io

    import cv2
    from PIL import Image

    code = picture(32, 48)
    deep = code.astype(np.uint16) * 257
    if depth == 8:
        (exif := Image.Exif())[0x0112] = 6
        buffer = io.BytesIO()
        Image.fromarray(code).transpose(Image.Transpose.ROTATE_90).save(buffer, "png", exif=exif)
        encoded = buffer.getvalue()
    else:
        encoded = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    (tmp_path / "hdr.png").write_bytes(with_chunk(encoded, kind, data))
    expected = code if transfer is None else to_sdr(deep, transfer)
    np.testing.assert_array_equal(read_image(tmp_path / "hdr.png"), expected)


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
