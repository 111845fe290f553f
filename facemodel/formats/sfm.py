"""The Surrey Face Model in eos' binary form (cereal), versions 1 to 4, and whatever else eos wrote that way.

Millimetres, y up, z to the front; orthonormal columns with variances. Expressions are offsets at 1, in a file apart or,
from version 2, within; texture coordinates have v down.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel.base import Block
from facemodel.formats import _assemble
from facemodel.formats._assemble import Parts
from facemodel.formats._containers import Summary
from facemodel.formats._content import is_blendshapes, is_landmark_table, starts
from facemodel.formats._foreign import Extras, ForeignFormat
from foundation.errors import PortraitError

LICENSE = "Surrey Face Model, University of Surrey: as shared with eos, research use; see its own terms"
LARGEST = 1 << 28  # numbers of one matrix


@dataclass
class _Stream:
    data: bytes
    at: int = 0

    def take(self, form: str) -> tuple:
        size = struct.calcsize("<" + form)
        if self.at + size > len(self.data):
            raise ValueError("it breaks off")
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += size
        return values

    def one(self, form: str) -> int:
        return self.take(form)[0]

    def numbers(self, count: int, dtype: str) -> np.ndarray:
        size = count * np.dtype(dtype).itemsize
        if not 0 <= count <= LARGEST or self.at + size > len(self.data):
            raise ValueError("it breaks off")
        found = np.frombuffer(self.data, dtype, count, self.at)
        self.at += size
        return found

    def matrix(self) -> np.ndarray:
        """Eigen's: rows, columns, column-major."""
        rows, columns = self.take("ii")
        if rows < 0 or columns < 0:
            raise ValueError("a matrix of impossible size")
        return self.numbers(rows * columns, "<f4").reshape(columns, rows).T

    def text(self) -> str:
        size = self.one("Q")
        if size > 4096:
            raise ValueError("a name that is too long")
        return self.numbers(size, "u1").tobytes().decode("utf-8")

    def table(self, width: int, dtype: str) -> np.ndarray:
        return self.numbers(self.one("Q") * width, dtype).reshape(-1, width)

    @property
    def ended(self) -> bool:
        return self.at == len(self.data)


@dataclass(frozen=True)
class _Pca:
    mean: np.ndarray
    basis: np.ndarray
    variance: np.ndarray
    triangles: np.ndarray

    @classmethod
    def read(cls, stream: _Stream) -> _Pca:
        return cls(stream.matrix(), stream.matrix(), stream.matrix(), stream.table(3, "<i4"))

    def components(self) -> np.ndarray:
        return _assemble.components(self.basis, np.sqrt(np.maximum(self.variance.astype(np.float64).ravel(), 0)))


def read_blendshapes(stream: _Stream) -> dict[str, np.ndarray]:
    """Offsets (V, 3) by name, mm at 1."""
    count = stream.one("Q")
    if not 0 < count <= 512:
        raise ValueError("a number of expressions that can't be")
    return {stream.text(): _assemble.points(stream.matrix()) for _ in range(count)}


class SfmFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "sfm"
    title = "Surrey Face Model (eos)"
    extras = "expression_blendshapes_*.bin, ibug_to_sfm.txt"

    def knows(self, path: Path, summary: Summary) -> bool:
        head = starts(path, summary, 12)
        if len(head) < 12:
            return False
        version, rows, columns = struct.unpack("<Iii", head)
        return 1 <= version <= 4 and columns == 1 and rows > 9 and rows % 3 == 0

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        stream = _Stream(path.read_bytes())
        version = stream.one("I")
        shape, color = _Pca.read(stream), _Pca.read(stream)
        mean = _assemble.points(shape.mean)
        notes: list[str] = []
        expression, block = np.zeros((0, len(mean), 3)), _assemble.signed(())
        if version >= 2 and not stream.one("B"):
            if stream.one("i") == 0:
                pca = _Pca.read(stream)
                mean, expression = mean + _assemble.points(pca.mean), pca.components()
                block = _assemble.signed(_assemble.numbered(len(expression)))
                notes.append("the expressions' own mean is part of the mean")
            else:
                expression, block = _named(read_blendshapes(stream))
        uv = stream.table(2, "<f8")
        marks: dict[int, int] = {}
        if version >= 3 and not stream.one("B"):
            names = {stream.text(): stream.one("i") for _ in range(stream.one("Q"))}
            marks = {int(n) - 1: v for n, v in names.items() if n.isdigit() and 1 <= int(n) <= 68}
        uv_triangles = stream.table(3, "<i4") if version >= 4 else np.zeros((0, 3))
        if not stream.ended:
            raise ValueError(f"{len(stream.data) - stream.at} bytes too many")
        parts = Parts(
            mean,
            _assemble.corners(shape.triangles, 0),
            shape.components(),
            expression,
            block,
            1.0,
            "millimetres",
            self.title,
            LICENSE,
            notes=notes,
        )
        if color.mean.size:
            parts.albedo = _assemble.points(color.mean), color.components()
        if len(uv):
            table = _assemble.corners(uv_triangles, 0) if len(uv_triangles) else parts.triangles
            parts.uv = np.c_[uv[:, 0], 1 - uv[:, 1]], table
        self._expressions(parts, extras)
        table = extras.take(is_landmark_table)
        if table is not None:
            pairs = re.findall(r"^\s*(\d+)\s*=\s*(\d+)", table.read_text(encoding="utf-8"), re.MULTILINE)
            marks |= {int(a) - 1: int(b) for a, b in pairs if 1 <= int(a) <= 68}
        if marks:
            parts.landmarks["ibug68"] = _assemble.on_vertices(parts.triangles, marks, 68, _assemble.ibug_weights())
            notes.append(f"{len(marks)} of iBUG's 68 landmarks are in its table")
        return parts, [path]

    @staticmethod
    def _expressions(parts: Parts, extras: Extras) -> None:
        path = extras.take(is_blendshapes)
        if path is None:
            if not len(parts.block):
                parts.notes.append("it has no expressions: give expression_blendshapes_3448.bin as an extra file")
            return
        shapes = read_blendshapes(_Stream(path.read_bytes()))
        if any(len(s) != len(parts.mean) for s in shapes.values()):
            found = len(next(iter(shapes.values())))
            raise PortraitError(
                f"extra file '{path}': expressions of another topology ({found} vertices, here {len(parts.mean)})"
            )
        parts.expression, parts.block = _named(shapes)


def _named(shapes: dict[str, np.ndarray]) -> tuple[np.ndarray, Block]:
    return np.stack(list(shapes.values())), Block.activations(tuple(shapes))


READER = SfmFormat()
