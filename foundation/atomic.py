"""Files that appear whole or not at all: written beside their place as ``<name>.partial``, then renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from foundation.errors import PortraitError, write_error


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


def place_files(path: str | os.PathLike, write: Callable[[Path], object], what: str = "file") -> Path:
    """Has ``write`` fill a file of this name, and perhaps others beside it, which then appear together.

    ``write`` is given a path of the same name in an empty folder; whatever it leaves there takes its place beside
    ``path``. See `replace_file`.
    """
    path = Path(path)
    scratch = partial_of(path)
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        write(scratch / path.name)
        files = list(scratch.iterdir())
        for file in files:
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
        for file in files:
            os.replace(file, path.with_name(file.name))
    except OSError as error:
        raise write_error(what, path, error) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return path


INDEX = "export.json"
"""What `replace_folder` leaves in a folder that it made: which files are in it."""


def replace_folder(
    path: str | os.PathLike, write: Callable[[Path], Mapping | None], what: str = "folder", made: str = INDEX
) -> Path:
    """Has ``write`` fill a folder that then appears at ``path``, whole or not at all.

    An earlier folder of this function is replaced, where nobody put anything else into it.

    Args:
        write: fills the folder that it's given; what it returns is kept in the folder as JSON, with the list of files.
        made: the name of that JSON.

    Raises:
        PortraitError: something else is there, or it can't be written.
    """
    path = Path(path)
    check_replaceable(path, what, made)
    partial, old = partial_of(path), path.with_name(path.name + ".old")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        facts = dict(write(partial) or {})
        files = sorted(p.relative_to(partial).as_posix() for p in partial.rglob("*") if p.is_file())
        (partial / made).write_text(json.dumps(facts | {"files": files}, indent=1))
        for file in [*files, made]:
            with open(partial / file, "rb") as opened:
                os.fsync(opened.fileno())
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        os.replace(partial, path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise write_error(what, path, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.is_dir() and not path.exists():  # stopped between the two
            os.replace(old, path)
    return path


def check_replaceable(path: Path, what: str, made: str = INDEX) -> None:
    """PortraitError where a folder, which isn't there or was made by `replace_folder`, can't go to ``path``."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise PortraitError(f"{what} '{path}': expected a folder to write to, found a file; choose another name")
    if not path.is_dir() or not any(path.iterdir()):
        return
    try:
        listed = json.loads((path / made).read_text())["files"]
        known = {made, *map(str, listed)}
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    there = (p.relative_to(path).as_posix() for p in path.rglob("*") if not p.is_dir() or p.is_symlink())
    other = next((p for p in there if p not in known), None)
    if other is not None:
        raise PortraitError(f"{what} '{path}': has other files in it ('{other}'); choose another name, or empty it")
