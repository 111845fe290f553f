"""Pictures out: PNGs, whole or not at all, that say what made them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from foundation.atomic import write_file

SUFFIX = ".png"
KEY = "Comment"  # PNG's own keyword for what is said of a picture


def write_picture(path: Path, picture: np.ndarray, note: dict | None = None) -> None:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 sRGB as a PNG; ``note`` is kept in it as JSON, see `read_picture_note`."""
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    if note is not None:
        info.add_itxt(KEY, json.dumps(note))
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG", pnginfo=info)
    write_file(path, encoded.getvalue(), "picture")


def read_picture_note(path: Path) -> dict[str, str]:
    """What a PNG says of itself, as a video's tags do: ``comment``, or nothing."""
    from PIL import Image

    if path.suffix.lower() != SUFFIX:
        return {}
    try:
        with Image.open(path) as picture:
            text = getattr(picture, "text", {}).get(KEY)
    except (OSError, ValueError):  # what can't be read is said by who reads the pixels
        return {}
    return {} if text is None else {"comment": str(text)}
