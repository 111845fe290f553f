"""MATLAB 5's binary files (.mat, version 7 and before), read within bounds: `facemodel.formats._containers` calls it.

SciPy reads them too, and ends the whole process with a segmentation fault on some garbled ones. Face models hold
numeric arrays, text and structures of these; cells, sparse matrices and objects are left out (None).
The format is MathWorks' "MAT-File Format" (level 5).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import PortraitError

LARGEST = 4 << 30  # bytes of a variable
DEEPEST = 8  # structures in each other

_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_STRUCT, _CHAR = 2, 4


def read_mat5(path: Path, names: Collection[str] | None = None) -> dict[str, Any]:
    """The variables by name, or those of ``names``: arrays in MATLAB's axes, structures as dictionaries, text as str.

    Raises:
        PortraitError: no such file, or one that breaks off or contradicts itself.
    """
    data = path.read_bytes()
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise PortraitError("it is no MATLAB file of version 5 to 7")
    order = "<" if data[126:128] == b"IM" else ">"
    found = {}
    for part in _arrays(memoryview(data)[128:], order):
        name, value = _matrix(part, order, names)
        if names is None or name in names:
            found[name] = value
    return found


def _arrays(data: memoryview, order: str, packed: bool = False) -> Iterator[memoryview]:
    """The contents of the array elements, packed ones unpacked, but not twice."""
    for kind, part in _elements(data, order):
        if kind == _MATRIX:
            yield part
        elif kind == _COMPRESSED and not packed:
            yield from _arrays(memoryview(_inflated(part)), order, packed=True)


def _inflated(part: memoryview) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        out = unpacker.decompress(part, LARGEST)
    except zlib.error as error:
        raise PortraitError(f"it is garbled ({error})") from None
    if unpacker.unconsumed_tail:
        raise PortraitError("it holds a variable larger than any face model's")
    return out


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """The type and the content of each element of a sequence; none is read beyond its end."""
    at = 0
    while at + 8 <= len(data):
        first = int(np.frombuffer(data, order + "u4", 1, at)[0])
        if first >> 16:  # up to four bytes lie in the tag itself
            kind, size, start, after = first & 0xFFFF, first >> 16, at + 4, at + 8
            if size > 4:
                raise PortraitError("it is garbled (an element of an impossible size)")
        else:
            kind, size = first, int(np.frombuffer(data, order + "u4", 1, at + 4)[0])
            start = at + 8
            after = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(data):
            raise PortraitError("it breaks off")
        yield kind, data[start : start + size]
        at = after


def _numbers(kind: int, part: memoryview, order: str) -> np.ndarray:
    if kind not in _TYPES:
        raise PortraitError(f"it is garbled (numbers of the unknown type {kind})")
    dtype = np.dtype(order + _TYPES[kind])
    if len(part) % dtype.itemsize:
        raise PortraitError("it is garbled (a number is cut)")
    return np.frombuffer(part, dtype)


def _matrix(part: memoryview, order: str, names: Collection[str] | None, depth: int = 0) -> tuple[str, Any]:
    """Name and value of an array's element."""
    if not len(part):
        return "", np.zeros((0, 0))
    elements = _elements(part, order)
    try:
        flags, shape, name = (_numbers(*next(elements), order) for _ in range(3))
        kind = int(flags[0]) & 0xFF
        name = bytes(name.astype(np.uint8)).decode("latin-1")
        shape = tuple(int(n) for n in shape)
        count = int(np.prod(shape, dtype=object))
        if not shape or min(shape) < 0:
            raise PortraitError("it is garbled (an array of impossible axes)")
        if depth == 0 and names is not None and name not in names:
            return name, None
        if kind == _STRUCT:
            return name, _structure(elements, count, order, depth)
        if kind not in _CLASSES and kind != _CHAR:
            return name, None
        values = _numbers(*next(elements), order)
    except StopIteration:
        raise PortraitError("it breaks off") from None
    except IndexError:
        raise PortraitError("it is garbled (an array without flags)") from None
    if len(values) != count:
        raise PortraitError(f"it is garbled ('{name}' has {len(values)} values for axes {shape})")
    if kind == _CHAR:
        return name, "".join(map(chr, values.reshape(shape, order="F").ravel().tolist()))
    return name, values.astype(_CLASSES[kind]).reshape(shape, order="F")


def _structure(elements: Iterator[tuple[int, memoryview]], count: int, order: str, depth: int) -> dict[str, Any] | None:
    """A structure's fields; None of several structures in an array."""
    if count != 1 or depth == DEEPEST:
        return None
    length = int(_numbers(*next(elements), order)[0])
    table = bytes(_numbers(*next(elements), order).astype(np.uint8))
    if length < 1 or len(table) % length:
        raise PortraitError("it is garbled (a structure's names)")
    fields = [table[k : k + length].split(b"\0")[0].decode("latin-1") for k in range(0, len(table), length)]
    found = {}
    for field in fields:
        kind, part = next(elements)
        if kind != _MATRIX:
            raise PortraitError(f"it is garbled (the field '{field}')")
        found[field] = _matrix(part, order, None, depth + 1)[1]
    return found
