"""Image files of every kind that phones and cameras write, as upright 8-bit sRGB with square pixels.

A path enters, (H, W, 3) uint8 leaves. Called by `portrait.video.reader.ImageReader` and by who reads one picture.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from foundation.errors import PortraitError

IMAGE_SUFFIXES = {
    ".avif", ".bmp", ".heic", ".heif", ".hif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip
ORIENTATION = 0x0112  # EXIF's tag
SIDEWAYS = (5, 6, 7, 8)  # its values that swap width and height
TELLING_ASPECT = 0.01  # a shape of pixels nearer to square is rounding
PNG_PQ_PROFILE = b"ITUR_2100_PQ_FULL\0"  # name of a profile that means PQ, whatever is in it: the W3C's note "PNG HDR"
WIDEST = 4  # a shape of pixels beyond is a slip of who wrote it
BROKEN = (OSError, ValueError, SyntaxError, EOFError, MemoryError, IndexError, KeyError, TypeError, AttributeError,
          OverflowError, ZeroDivisionError, RuntimeError, NotImplementedError)  # fmt: skip
"""What decoders of broken files are seen to raise; struct.error and DecompressionBombError are added where they are."""


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_hidden(path: Path) -> bool:
    """Whether a file of a folder isn't meant to be seen: ``.DS_Store``, macOS' ``._`` twins."""
    return path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """A folder's images that are meant to be seen, in the natural order of their names; PortraitError without any."""
    shown = (p for p in folder.iterdir() if is_image(p) and not is_hidden(p) and p.is_file())
    files = sorted(shown, key=_natural)
    if not files:
        raise PortraitError(f"folder '{folder}': holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return files


def _natural(path: Path) -> list:
    """Sort key in which frame10 follows frame9."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", path.name)]


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size in px of a picture whose pixels, ``aspect`` times as wide as high, became square; no detail is lost."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def stored_shape(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The inverse of `square_size`."""
    return (max(1, round(width / aspect)), height) if aspect > 1 else (width, max(1, round(height * aspect)))


def credible_aspect(aspect: Fraction | None) -> Fraction:
    """A shape of pixels as a file has it, or 1 where that can't be."""
    return aspect if aspect and Fraction(1, WIDEST) <= aspect <= WIDEST else Fraction(1)


def read_image(path: Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 sRGB, upright, its pixels made square.

    Grey, 16-bit, CMYK and wide-gamut pictures are converted; of several pictures in a file the first (HEIF: primary)
    one counts. HDR HEIF and PNG are tone-mapped. Raises PortraitError for what can't be read.
    """
    with _opened(path) as image:
        aspect = _aspect(image)
        picture = _hdr(image, path)
        if picture is None:
            picture = _rgb(_turned(image, path))
        elif _orientation(image, path) in SIDEWAYS:
            aspect = 1 / aspect
    size = square_size(picture.shape[1], picture.shape[0], aspect)
    if size != picture.shape[1::-1]:
        import cv2

        picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(picture)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height that `read_image` gives, from the header alone."""
    with _opened(path) as image:
        size, aspect = image.size, _aspect(image)
        if _orientation(image, path) in SIDEWAYS:
            size, aspect = size[::-1], 1 / aspect
        return square_size(*size, aspect)


def check_readable_file(path: Path, what: str) -> None:
    """Raises PortraitError unless ``path`` is a file that can be opened and holds something."""
    if not path.exists():
        raise PortraitError(f"{what} '{path}': no such file; check the name")
    if not path.is_file():
        raise PortraitError(f"{what} '{path}': expected a file, found a folder")
    if path.stat().st_size == 0:
        raise PortraitError(f"{what} '{path}': is empty (0 bytes); get a whole copy")
    if not os.access(path, os.R_OK):
        raise PortraitError(f"{what} '{path}': may not be read (permissions)")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator:
    """A Pillow image; whatever goes wrong with it in the block is a PortraitError."""
    import struct

    import pillow_heif
    from PIL import Image

    check_readable_file(path, "image")
    pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken tags that nobody here needs, of large pictures
            with Image.open(path) as image:
                yield image
    except PortraitError:
        raise
    except Image.DecompressionBombError:
        raise PortraitError(f"image '{path}': has more pixels than can be worked with; scale it down first") from None
    except (*BROKEN, struct.error):
        raise PortraitError(
            f"image '{path}': can't be read as an image; it is broken or of another kind: get a whole copy, or give "
            "a PNG or JPEG"
        ) from None


def _orientation(image, path: Path) -> int:
    """EXIF's orientation that is still to be undone: Pillow turns TIFF itself, libheif what HEIF's own boxes say."""
    if image.format == "TIFF":
        return 1
    if image.format == "HEIF":
        return 1 if _turned_by_boxes(path) else image.info.get("original_orientation") or 1
    return image.getexif().get(ORIENTATION, 1)


def _turned_by_boxes(path: Path) -> bool:
    """Whether a HEIF file's boxes turn or mirror it (``irot``, ``imir``); EXIF counts only where they don't."""
    meta = _heif_meta(path)
    return b"irot" in meta or b"imir" in meta


def _heif_meta(path: Path) -> bytes:
    """The ``meta`` box of a HEIF or AVIF file, which says how its pictures are to be shown."""
    with open(path, "rb") as file:
        while len(header := file.read(8)) == 8:
            length, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind == b"meta":
                return file.read(max(length - 8, 0))
            if length < 8:  # to the file's end, or a 64-bit length: neither comes before "meta"
                break
            file.seek(length - 8, io.SEEK_CUR)
    return b""


def _avif_transfer(path: Path) -> int:
    """Code of an AVIF file's transfer function (ITU-T H.273), 0 where it doesn't say."""
    _, found, rest = _heif_meta(path).partition(b"colrnclx")
    return int.from_bytes(rest[2:4], "big") if found else 0


def _png_transfer(path: Path) -> int:
    """Code of a PNG's transfer function (ITU-T H.273): of its chunk cICP, or of the profile that stands for PQ."""
    with open(path, "rb") as file:
        file.seek(8)  # the signature
        while len(header := file.read(8)) == 8:
            length, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind in (b"cICP", b"iCCP"):
                data = file.read(length)
                if kind == b"cICP":
                    return data[1] if len(data) > 1 else 0
                if data.startswith(PNG_PQ_PROFILE):
                    return 16
                length = 0
            if kind == b"IDAT":
                break
            file.seek(length + 4, io.SEEK_CUR)
    return 0


def _turned(image, path: Path):
    """The decoded image upright."""
    image.load()
    return _upright(image, _orientation(image, path))


def _upright(image, orientation: int):
    """A Pillow image, turned and mirrored as EXIF's orientation says."""
    from PIL import Image

    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)  # fmt: skip
    return image if turn is None else image.transpose(turn)


def _aspect(image) -> Fraction:
    """A pixel's width over its height, as stored, where that is all a file says: resolutions are often wrong."""
    across, down = 1, 1
    if image.format == "PNG":
        across, down = image.info.get("aspect", (1, 1))
    elif image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") == 0:
        across, down = image.info.get("jfif_density", (1, 1))
    aspect = Fraction(int(down), int(across)) if across and down else Fraction(1)
    return credible_aspect(aspect) if abs(aspect - 1) > TELLING_ASPECT else Fraction(1)


def _rgb(image) -> np.ndarray:
    """Pillow's image as (H, W, 3) uint8 sRGB."""
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.int64)
        grey = np.clip(grey >> 8 if image.mode != "I" or grey.max(initial=0) > 255 else grey, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)
    if image.mode == "F":
        raise PortraitError(
            f"image '{image.filename}': holds floating-point numbers, and their white isn't known; save 8 or 16 bits"
        )
    profile = image.info.get("icc_profile")
    image = _to_srgb(image, profile) if profile and image.mode == "RGB" else image
    return np.array(image.convert("RGB"))  # a copy, which can be written to


def _to_srgb(image, profile: bytes):
    """A picture with another colour profile (Display P3 of phones) in sRGB; as it is where the profile is broken."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _hdr(image, path: Path) -> np.ndarray | None:
    """An HDR picture, HEIF or PNG, upright, tone-mapped; None for any other.

    Pillow decodes no AVIF by more than 8 bits.
    """
    from PIL import Image

    from portrait.video.tonemap import TRANSFERS, to_sdr

    if image.format == "AVIF" and _avif_transfer(path) in TRANSFERS:
        raise PortraitError(f"image '{path}': HDR pictures can't be read from AVIF; save it as SDR, or as HEIC")
    code = None
    if image.format == "HEIF":
        code = (image.info.get("nclx_profile") or {}).get("transfer_characteristics")
    elif image.format == "PNG":
        code = _png_transfer(path)
    if code not in TRANSFERS:
        return None
    deep = _deep_heif(path) if image.format == "HEIF" else _deep_png(path)
    deep = deep if deep.dtype == np.uint16 else deep.astype(np.uint16) * 257
    upright = _upright(Image.fromarray(to_sdr(deep, TRANSFERS[code])), _orientation(image, path))
    return np.asarray(upright)


def _deep_heif(path: Path) -> np.ndarray:
    """(H, W, 3) uint16, or uint8 where there is no more."""
    import pillow_heif

    return np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=False))[..., :3]


def _deep_png(path: Path) -> np.ndarray:
    """The same of a PNG, whose 16 bits Pillow doesn't give."""
    import cv2

    data = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise ValueError("no picture")
    return picture[..., ::-1]
