"""Where a result came from: files found again by their hashes, and the note that says that a picture is synthetic."""

from __future__ import annotations

from pathlib import Path

from portrait.video.source import file_hash

VERSION = "0.1.0"


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
