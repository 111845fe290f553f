"""What is remembered of an input: its name, its hash, the shape of its pixels."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from portrait.video.images import list_images


def file_hash(path: str | os.PathLike) -> str:
    """SHA-256 of a file, or of a folder's images in the order of their names; hexadecimal."""
    path = Path(path)
    if path.is_dir():
        total = hashlib.sha256()
        for file in list_images(path):
            total.update(file.name.encode() + b"\0" + bytes.fromhex(file_hash(file)))
        return total.hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_facts(reader) -> dict:
    """What a track remembers of its input."""
    aspect = reader.pixel_aspect
    facts = {
        "file": reader.path.name,
        "sha256": file_hash(reader.path),
        "pixel_aspect": [aspect.numerator, aspect.denominator],
        "sound": bool(reader.audio),
    }
    if aspect != 1:  # frames, and so the track, have square pixels
        facts["stored"] = list(reader.stored)
    if transfer := getattr(reader, "transfer", None):
        facts["tone_mapped"] = transfer
    return facts
