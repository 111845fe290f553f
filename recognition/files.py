"""Weights and checkpoints: safetensors with a JSON header; whole or not at all, and data only."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from foundation.errors import PortraitError, write_error

FORMAT, VERSION = "video-portraits recognition", 1


def write_tensors(path: Path, kind: str, tensors: dict[str, Tensor], header: dict) -> None:
    """Writes tensors and a header; the file appears whole, or the old one stays. kind: "weights", "checkpoint"..."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    header = {"format": FORMAT, "version": VERSION, "kind": kind, **header}
    try:
        partial.touch()  # with the user's usual permissions; the library would make it private
        mode = partial.stat().st_mode
        save_file(tensors, partial, metadata={"header": json.dumps(header)})
        partial.chmod(mode)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise write_error(kind, path, error) from None


def read_tensors(path: Path, kind: str, make: str) -> tuple[dict[str, Tensor], dict]:
    """Tensors on the CPU, and the header. make: the command that writes such a file, for the error's text.

    Raises PortraitError where it isn't a whole file of that kind.
    """
    if not path.is_file():
        raise PortraitError(f"{kind} '{path}': no such file; make it with '{make}'")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise PortraitError(f"{kind} '{path}': not a whole safetensors file ({error}); make it with '{make}'") from None
    found = header.get("format"), header.get("version"), header.get("kind")
    if found != (FORMAT, VERSION, kind):
        raise PortraitError(
            f"{kind} '{path}': expected {FORMAT} ({kind}, version {VERSION}), found {found[0]} ({found[2]}, version "
            f"{found[1]}); make it with '{make}'"
        )
    return tensors, header


def write_text(path: Path, text: str) -> None:
    """Writes a text file beside its place, then renames it."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_error("output", path, error) from None
