"""Where a result came from: hashes of its inputs, and the note that says that a picture is synthetic."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

VERSION = "0.1.0"


def file_hash(path: str | os.PathLike) -> str:
    """SHA-256 of a file, or of a folder's images in the order of their names; hexadecimal."""
    path = Path(path)
    if path.is_dir():
        from portrait.video.reader import ImageReader

        total = hashlib.sha256()
        for file in ImageReader(path).files:
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


def find_file(source: dict | None, *beside: Path) -> Path | None:
    """The file that facts name, in the folder of one of these or the current one, with the bytes it had; else None."""
    if not (source or {}).get("sha256"):
        return None
    for folder in dict.fromkeys([*(path.absolute().parent for path in beside), Path.cwd()]):
        path = folder / Path(source["file"]).name
        if path.is_file() and file_hash(path) == source["sha256"]:
            return path
    return None


def track_facts(path: Path, track) -> dict:
    """What a label says of a track: its file, what it was fitted to, and what was done to it since."""
    done = {name: track.facts.get(name) for name in ("source", "edits", "curves", "mixed")}
    file = {"name": path.name, "sha256": file_hash(path / "track.safetensors")}
    return file | {name: value for name, value in done.items() if value}


def synthetic_note(command: str, **facts) -> dict:
    """The metadata of a picture that this project made: what it is, how, and from what."""
    return {
        "synthetic": True,
        "notice": "The face shown here was made by a program. It isn't a recording of what happened.",
        "made_by": f"video-portraits {VERSION}",
        "command": command,
        **facts,
    }
