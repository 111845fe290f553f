"""What files hold, whatever their names: which container they are, which arrays are in them, and the arrays themselves.

Enters: the path of a file or folder. Leaves: a `Summary` (cheap, cached, never an error), by which a format knows its
own, and numpy arrays by name. The readers of `facemodel.formats` call it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from facemodel.formats._mat5 import read_mat5
from facemodel.formats._pickles import looks_pickled, read_pickle
from foundation.errors import PortraitError

LARGEST = 8 << 30  # bytes of one array: no face model has a larger one, a garbled header may say so
TEXT = 4 << 20  # of a file of text that is looked into


@dataclass(frozen=True)
class Summary:
    """What a file is. ``shapes``: of its arrays by name; a structure's parts as "shp.mu"; () of what isn't an array."""

    kind: str = ""  # "npz", "npy", "pickle", "mat", "hdf5", "obj", "safetensors", "json", "text", "folder", or unknown
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    broken: str = ""  # why it can't be read, in words

    def has(self, *names: str) -> bool:
        return set(names) <= self.shapes.keys()


def summarize(path: str | os.PathLike) -> Summary:
    """What a file or folder is, by its content. Raises nothing: what can't be read says why."""
    try:
        path = Path(path).resolve()
        entries = tuple(sorted(os.listdir(path))) if path.is_dir() else ()
        stat = path.stat()
        return _summarize(path, stat.st_mtime_ns, stat.st_size, entries)
    except (OSError, ValueError) as error:
        return Summary(broken=_line(error))


@functools.lru_cache(maxsize=64)
def _summarize(path: Path, changed: int, size: int, entries: tuple[str, ...]) -> Summary:
    if path.is_dir():
        return Summary("folder", {name: () for name in entries})
    with open(path, "rb") as file:
        head = file.read(512)
    kind = _kind(head, size)
    try:
        return Summary(kind, _shapes(path, kind))
    except PortraitError as error:
        return Summary(kind, broken=str(error))
    except Exception as error:  # whatever garbled bytes do to the library that reads them
        return Summary(kind, broken=f"it breaks off or is garbled ({_line(error) or type(error).__name__})")


def _kind(head: bytes, size: int) -> str:  # noqa: PLR0911 (a list of what there is)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if head.startswith(b"\x89HDF\r\n\x1a\n") or (head.startswith(b"MATLAB 7.3") and len(head) == 512):
        return "hdf5"
    if head.startswith(b"MATLAB 5.0"):
        return "mat"
    if 2 <= int.from_bytes(head[:8], "little") < 1 << 28 and head[8:9] == b"{":
        return "safetensors"
    if looks_pickled(head):
        return "pickle"
    if size and b"\0" not in head:
        try:
            text = head.decode("utf-8", errors="strict" if size <= len(head) else "ignore")
        except UnicodeDecodeError:
            return ""
        if re.match(r"\s*(\{|\[\s*[\[\]{\"\d-])", text):
            return "json"
        lines = [line.split() for line in text.splitlines()]
        if any(line[:1] == ["v"] and len(line) in (4, 7) for line in lines) or "obj" in text[:200].lower():
            return "obj"
        return "text"
    return ""


def _shapes(path: Path, kind: str) -> dict[str, tuple[int, ...]]:  # noqa: PLR0911 (likewise)
    if kind == "npz":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return {n.removesuffix(".npy"): _npy_shape(archive, n) if n.endswith(".npy") else () for n in names}
    if kind == "npy":
        with open(path, "rb") as file:
            shape, _, dtype = _npy_header(file)
            if not dtype.hasobject:
                return {"": shape}
            return _shapes_of(read_pickle(file.read()))
    if kind == "pickle":
        return _shapes_of(read_pickle(_data(path)))
    if kind == "hdf5":
        found: dict[str, tuple[int, ...]] = {}
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: found.update({name: _size(item)}))
        return found
    if kind == "mat":
        values = read_mat5(path)
        found = {name: np.shape(value) for name, value in values.items() if not isinstance(value, dict)}
        for name, part in values.items():
            if isinstance(part, dict):
                found |= {name: (1, 1)} | {f"{name}.{k}": np.shape(v) for k, v in part.items()}
        return found
    if kind == "json":
        value = read_json(path)
        return _shapes_of(value) if isinstance(value, dict) else {"": ()}
    return {}


def _size(item: object) -> tuple[int, ...]:
    return tuple(item.shape) if isinstance(item, h5py.Dataset) and item.shape is not None else ()


def _shapes_of(value: object) -> dict[str, tuple[int, ...]]:
    if isinstance(value, dict):
        return {str(k): tuple(getattr(v, "shape", (len(v),) if isinstance(v, list) else ())) for k, v in value.items()}
    return {"": tuple(getattr(value, "shape", ()))}


def _npy_header(file) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise PortraitError(f"it is of an unknown version of numpy's format ({version})")
    shape, fortran, dtype = read(file)
    if not dtype.hasobject and dtype.itemsize * int(np.prod(shape, dtype=object)) > LARGEST:
        raise PortraitError(f"it says of itself that it holds an array {shape}, larger than any face model's")
    return shape, fortran, dtype


def _npy_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as file:
        return _npy_header(file)[0]


def _data(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise PortraitError(f"it is larger than any face model ({path.stat().st_size >> 30} GB)")
    return path.read_bytes()


# -- the arrays ---------------------------------------------------------------------------------------------------


def read_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The content of a file by name, or of some names; those that aren't there are left out.

    Of a npy file, the array is "" (of one that holds a dictionary, that); HDF5's structures have names with "/".

    Raises:
        PortraitError: it breaks off, is garbled, or holds what isn't read. The file is named.
    """
    kind = summarize(path).kind
    readers = {
        "npz": _read_npz, "npy": _read_npy, "pickle": _read_pickle, "mat": _read_mat, "hdf5": _read_hdf5,
        "json": _read_json,
    }  # fmt: skip
    if kind not in readers:
        raise PortraitError(f"model '{path}': it holds no arrays; give one of the formats that 'model list' names")
    try:
        return readers[kind](path, None if names is None else tuple(names))
    except PortraitError as error:
        raise _named(path, str(error)) from None
    except Exception as error:  # whatever garbled bytes do to the library that reads them
        raise _named(path, f"it breaks off or is garbled ({_line(error) or type(error).__name__})") from None


def _named(path: Path, reason: str) -> PortraitError:
    if reason.startswith("model '"):
        return PortraitError(reason)
    return PortraitError(f"model '{path}': {reason}; get the file again from where it is published")


def _read_npz(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            name = entry.removesuffix(".npy")
            if not entry.endswith(".npy") or (names is not None and name not in names):
                continue
            with archive.open(entry) as file:
                _, _, dtype = _npy_header(file)
                if dtype.hasobject:
                    found[name] = read_pickle(file.read())
                    continue
            with archive.open(entry) as file:
                found[name] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _read_npy(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    with open(path, "rb") as file:
        shape, _, dtype = _npy_header(file)
        if dtype.hasobject:
            return _picked(read_pickle(file.read()), names)
        if dtype.itemsize * int(np.prod(shape, dtype=object)) > path.stat().st_size:
            raise PortraitError("it breaks off")
    return {"": np.load(path, allow_pickle=False)}


def _read_pickle(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    return _picked(read_pickle(_data(path)), names)


def _picked(value: object, names: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"": value}
    return {str(k): v for k, v in value.items() if names is None or str(k) in names}


def _read_mat(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    """MATLAB 5's variables; structures as dictionaries, what isn't numbers or text left out."""
    return {k: v for k, v in read_mat5(path, names).items() if v is not None}


def _read_hdf5(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (names is None or name in names):
            if item.size is not None and item.size * item.dtype.itemsize > LARGEST:
                raise PortraitError(f"'{name}' is larger than any face model's")
            value = item[()]
            # MATLAB 7.3 keeps an array's axes in reverse.
            found[name] = value.T if "MATLAB_class" in item.attrs and isinstance(value, np.ndarray) else value

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def read_json(path: Path) -> Any:
    data = _data(path)
    if len(data) > 16 * TEXT:
        raise PortraitError("it is a JSON file too large for a table of a face model's")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PortraitError(f"it is no whole JSON file ({_line(error)})") from None


def _read_json(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    return _picked(read_json(path), names)


# -- meshes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mesh:
    """A Wavefront OBJ's mesh: polygons cut into triangles, in the file's order."""

    vertices: np.ndarray  # (V, 3) float64, the file's unit
    triangles: np.ndarray  # (T, 3) int64, 0-based
    uv: np.ndarray | None  # (U, 2), v up
    uv_triangles: np.ndarray | None  # (T, 3)


def read_vertices(path: Path) -> np.ndarray:
    """The vertices (V, 3) of an OBJ alone: the quick way for files of one topology."""
    lines = [line[2:] for line in _data(path).splitlines() if line.startswith(b"v ")]
    try:
        return np.array(b" ".join(lines).split(), dtype=np.float64).reshape(len(lines), -1)[:, :3]
    except ValueError:
        raise _named(path, "it has vertices that aren't three numbers each") from None


def read_obj(path: Path) -> Mesh:
    """An OBJ's mesh. PortraitError where it is broken or has no faces."""
    vertices = read_vertices(path)
    uv, corners, textured = [], [], []
    try:
        for line in _data(path).splitlines():
            if line.startswith(b"vt "):
                uv.append([float(x) for x in line.split()[1:3]])
            elif line.startswith(b"f "):
                parts = [p.split(b"/") for p in line.split()[1:]]
                polygon = [int(p[0]) for p in parts]
                texture = [int(p[1]) if len(p) > 1 and p[1] else 0 for p in parts]
                for k in range(1, len(parts) - 1):
                    corners.append((polygon[0], polygon[k], polygon[k + 1]))
                    textured.append((texture[0], texture[k], texture[k + 1]))
    except ValueError as error:
        raise _named(path, f"it is no whole OBJ file ({_line(error)})") from None
    if not len(vertices) or not corners:
        raise _named(path, "it is no whole OBJ file: a mesh needs vertices and faces")
    triangles, uv_triangles = np.array(corners), np.array(textured)
    triangles = np.where(triangles < 0, triangles + len(vertices), triangles - 1)
    has_uv = bool(uv) and bool((uv_triangles > 0).all()) and int(uv_triangles.max()) <= len(uv)
    return Mesh(
        vertices,
        triangles,
        np.array(uv) if has_uv else None,
        uv_triangles - 1 if has_uv else None,
    )


# -- the rest -----------------------------------------------------------------------------------------------------


def sha256(paths: Iterable[Path]) -> str:
    """Of one file, or of several together."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
