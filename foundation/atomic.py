"""Files that appear whole or not at all: written beside their place as ``<name>.partial``, then renamed."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from foundation.errors import write_error


def replace_file(path: str | os.PathLike, write: Callable[[Path], object], what: str = "file") -> Path:
    """Has ``write`` fill a file that then takes the place of ``path``; the old one stays if anything goes wrong.

    Folders are made. The file gets the user's usual permissions, whatever ``write`` gives it, and is on the disk before
    it's renamed.

    Args:
        what: the file's kind, for the error's text.

    Raises:
        PortraitError: it can't be written.
    """
    return replace_files({Path(path): write}, what)[0]


def write_file(path: str | os.PathLike, data: bytes | str, what: str = "file") -> Path:
    """Writes bytes, or text as UTF-8; see `replace_file`."""
    return write_files({Path(path): data}, what)[0]


def write_csv(path: str | os.PathLike, rows: Iterable[Iterable[object]], what: str = "table") -> Path:
    """Writes rows as CSV, the first of them the names of the columns; see `replace_file`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return write_file(path, text.getvalue().encode("utf-8", "backslashreplace"), what)


def write_files(files: Mapping[Path, bytes | str], what: str = "file") -> list[Path]:
    """Several files at once: all of them are written before the first is renamed; see `replace_file`."""
    encoded = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    return replace_files({path: lambda p, d=data: p.write_bytes(d) for path, data in encoded.items()}, what)


def replace_files(writers: Mapping[Path, Callable[[Path], object]], what: str = "file") -> list[Path]:
    """Several files at once, each by a function that fills it; see `replace_file`."""
    partials = {path: partial_of(path) for path in writers}
    path = next(iter(writers), Path())
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = partials[path]
            partial.touch()
            mode = partial.stat().st_mode
            write(partial)
            partial.chmod(mode)
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
        for path, partial in partials.items():
            os.replace(partial, path)
    except Exception as error:
        # Some libraries have errors of their own for a full disk, and say it only in words.
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            raise write_error(what, path, error) from None
        raise
    finally:
        for partial in partials.values():
            with suppress(OSError):  # its folder may be what couldn't be made
                partial.unlink(missing_ok=True)
    return list(writers)


def partial_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(path.name + ".partial")
