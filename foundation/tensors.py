"""Named tensors with a JSON header in one safetensors file: weights, checkpoints. Data only, never code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from foundation.atomic import write_file
from foundation.errors import PortraitError

T = TypeVar("T")


def write_tensors(path: str | os.PathLike, kind: str, version: int, tensors: dict[str, Tensor], header: dict) -> Path:
    """Writes tensors and a JSON header; the file appears whole, or the old one stays.

    kind: what the file is, in words; it and ``version`` are checked by `read_tensors`.
    """
    tensors = {k: v.detach().to("cpu").contiguous().clone() for k, v in tensors.items()}
    header = {"kind": kind, "version": version, **header}
    return write_file(path, save(tensors, metadata={"header": json.dumps(header)}), kind)


def read_header(path: str | os.PathLike, kind: str, make: str) -> dict:
    """The header alone; {} of a safetensors file that has none. See `read_tensors`."""
    with _opened(path, kind, make) as file:
        return _header(file)


def read_tensors(
    path: str | os.PathLike, kind: str, version: int, make: str, device: str = "cpu"
) -> tuple[dict[str, Tensor], dict]:
    """Tensors and header of a file that `write_tensors` wrote.

    Args:
        make: the command that writes such a file, for the error's text.

    Raises:
        PortraitError: it is missing, no safetensors file, cut short, of another kind or version.
    """
    with _opened(path, kind, make, device) as file:
        header = _header(file)
        found = header.get("kind"), header.get("version")
        if found != (kind, version):
            raise PortraitError(
                f"{kind} '{path}': expected {kind}, version {version}, found {found[0] or 'another kind of file'}, "
                f"version {found[1]}; make it anew with '{make}'"
            )
        return {k: file.get_tensor(k) for k in file.keys()}, header  # noqa: SIM118


class _opened:
    """A safetensors file, its errors as PortraitError."""

    def __init__(self, path: str | os.PathLike, kind: str, make: str, device: str = "cpu") -> None:
        self.path, self.kind, self.make, self.device = Path(path), kind, make, device

    def __enter__(self):
        if not self.path.is_file():
            raise PortraitError(f"{self.kind} '{self.path}': no such file; make it with '{self.make}'")
        try:
            self.file = safe_open(self.path, "pt", device=self.device)
            return self.file.__enter__()
        except (SafetensorError, OSError) as error:
            raise self._broken(error) from None

    def __exit__(self, kind, error, trace) -> None:
        self.file.__exit__(kind, error, trace)
        if isinstance(error, SafetensorError | OSError | UnicodeDecodeError):
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> PortraitError:
        reason = " ".join(str(error).split())
        return PortraitError(
            f"{self.kind} '{self.path}': not a whole safetensors file ({reason}); make it anew with '{self.make}'"
        )


def header_as(kind: type[T], values: Mapping, what: str, again: str) -> T:
    """A header's values as a dataclass; names that it doesn't have are left out.

    what: the file, for the error's text. again: what to do.

    Raises:
        PortraitError: a field without a default is missing, or a value is of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    given = {f.name: values[f.name] for f in fields(kind) if f.name in values}
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PortraitError(f"{what}: incomplete header ({where}: {first['msg']}); {again}") from None


def _header(file) -> dict:
    try:
        header = json.loads((file.metadata() or {}).get("header", "{}"))
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}
