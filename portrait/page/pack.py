"""Arrays in a page: laid one behind the other, deflated, in base64; ``src/data.js`` reads them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import numpy as np

KINDS = {"<f4": "Float32Array", "<u4": "Uint32Array", "|u1": "Uint8Array"}


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[list[dict], str]:
    """A table (name, type, offset in bytes, count of numbers) and the text.

    float32 keeps every number as Python has it: a page draws what a command would.
    """
    table, data = [], bytearray()
    for name, array in arrays.items():
        stored = np.ascontiguousarray(array, dtype=_kind(array))
        table.append({"name": name, "type": KINDS[stored.dtype.str], "at": len(data), "count": stored.size})
        data += stored.tobytes()
        data += bytes(-len(data) % 4)
    return table, base64.b64encode(zlib.compress(bytes(data), 9)).decode()


def _kind(array: np.ndarray) -> str:
    if array.dtype == np.uint8:
        return "|u1"
    return "<f4" if array.dtype.kind == "f" else "<u4"
