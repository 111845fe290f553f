"""glTF 2.0 in one binary file (.glb): a mesh with morph targets, as Blender, three.js and game engines read it.

See `facemodel.export.mesh.EXPORTERS`. Written by hand: pygltflib takes 0.4 s to import and 0.26 s to read such a file
(here 0.4 ms), and its caller lays out buffers and accessors as `_Buffer` does.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel.export.mesh import EXPORTERS, Mesh, png_bytes
from geometry.color import srgb_to_linear
from geometry.mesh import vertex_normals

FLOAT, USHORT, UINT = 5126, 5123, 5125  # glTF's component types
METRES = 0.001  # a millimetre
MATERIAL = {"metallicFactor": 0.0, "roughnessFactor": 0.8}


@dataclass(frozen=True)
class Shape:
    """A morph target: what is added at an activation of 1."""

    positions: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3)


def files(mesh: Mesh, texture: np.ndarray | None, path: Path, facts: dict) -> dict[Path, bytes]:
    """A vertex has one texture coordinate there: split along the atlas' seams."""
    seams = np.zeros_like(mesh.triangles) if texture is None else mesh.uv_triangles
    corners = np.stack([mesh.triangles.ravel(), seams.ravel()], -1)
    pairs, index = np.unique(corners, axis=0, return_inverse=True)
    at = pairs[:, 0]
    rest = _normals(mesh, mesh.neutral)
    shapes = {
        name: Shape(added[at], (_normals(mesh, mesh.neutral + added) - rest)[at])
        for name, added in zip(mesh.shape_names, mesh.shapes)
    }
    colors = srgb_to_linear(torch.from_numpy(mesh.colors[at] / 255)).numpy()  # as glTF's vertex colours are
    look = {"colors": colors} if texture is None else {"uv": mesh.uv[pairs[:, 1]]}
    kept = {name: facts[name] for name in ("model", "fingerprint", "source", "frame", "time")}
    data = glb_bytes(
        mesh.neutral[at], rest[at], index.reshape(-1, 3), scale=METRES, shapes=shapes, weights=mesh.activations,
        texture=None if texture is None else png_bytes(texture), facts=kept, **look,
    )  # fmt: skip
    return {path: data}


def _normals(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals of vertices (V, 3)."""
    return vertex_normals(torch.from_numpy(vertices), torch.from_numpy(mesh.triangles)).numpy()


def glb_bytes(
    positions: np.ndarray,  # (V, 3), without any shape
    normals: np.ndarray,  # (V, 3) unit
    triangles: np.ndarray,  # (T, 3) into them, counter-clockwise from outside
    *,
    scale: float,  # metres a unit of the positions
    shapes: Mapping[str, Shape],
    weights: np.ndarray,  # one a shape: the activations that the file opens with
    uv: np.ndarray | None = None,  # (V, 2), v up
    texture: bytes | None = None,  # PNG, row 0 at v = 1
    colors: np.ndarray | None = None,  # (V, 3) linear RGB, 0 to 1
    facts: Mapping | None = None,  # kept in the file, as ``asset.extras``
) -> bytes:
    """The file. Positions stay in their unit, and the node scales them to the metres that glTF wants.

    Shapes are stored sparsely, since most move a small part of the face; their names are in ``extras.targetNames``.
    """
    b = _Buffer()
    attributes = {"POSITION": b.accessor(positions, bounds=True), "NORMAL": b.accessor(normals)}
    material: dict = {"pbrMetallicRoughness": dict(MATERIAL)}
    table: dict = {}
    if texture is not None:
        attributes["TEXCOORD_0"] = b.accessor(np.stack([uv[:, 0], 1 - uv[:, 1]], -1))  # glTF's v goes down
        table = {"images": [{"bufferView": b.view(texture), "mimeType": "image/png"}], "textures": [{"source": 0}]}
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    else:
        rgba = np.concatenate([colors, np.ones((len(colors), 1))], -1)
        attributes["COLOR_0"] = b.accessor(np.round(rgba * 65535), USHORT, normalized=True)
    targets = [{"POSITION": b.sparse(s.positions, bounds=True), "NORMAL": b.sparse(s.normals)} for s in shapes.values()]
    primitive = {"attributes": attributes, "indices": b.accessor(triangles.reshape(-1), UINT), "material": 0}
    mesh = {
        "name": "face",
        "primitives": [primitive | {"targets": targets}],
        "weights": [float(w) for w in weights],
        "extras": {"targetNames": list(shapes)},
    }
    table |= {
        "asset": {"version": "2.0", "generator": "video-portraits", "extras": dict(facts or {})},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "face", "mesh": 0, "scale": [scale] * 3}],
        "meshes": [mesh],
        "materials": [material],
        "accessors": b.accessors,
        "bufferViews": b.views,
        "buffers": [{"byteLength": len(b.data)}],
    }
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(b.data), b"BIN\0") + b.data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def read_glb_table(data: bytes) -> dict:
    """The JSON of a .glb file's bytes. Raises ValueError for anything else."""
    if len(data) < 20 or data[:4] != b"glTF" or data[16:20] != b"JSON":
        raise ValueError("no .glb file")
    length = struct.unpack_from("<I", data, 12)[0]
    if len(data) < struct.unpack_from("<I", data, 8)[0]:
        raise ValueError("a truncated .glb file")
    return json.loads(data[20 : 20 + length])


class _Buffer:
    """The binary part, and what the JSON says of it."""

    def __init__(self) -> None:
        self.data, self.views, self.accessors = bytearray(), [], []

    def view(self, raw: bytes) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)})
        self.data += raw + bytes(-len(raw) % 4)
        return len(self.views) - 1

    def accessor(self, array: np.ndarray, kind: int = FLOAT, *, bounds: bool = False, normalized: bool = False) -> int:
        """(N,) or (N, 2 to 4), stored as ``kind``."""
        stored = array.astype(_DTYPES[kind])
        more = {"normalized": True} if normalized else {}
        return self._add(stored, kind, bounds, {"bufferView": self.view(stored.tobytes())} | more)

    def sparse(self, array: np.ndarray, *, bounds: bool = False) -> int:
        """(N, 3) float, of which only rows that aren't zero are stored."""
        stored = array.astype(_DTYPES[FLOAT])
        rows = np.flatnonzero(stored.any(-1))
        if not len(rows):  # without a view all are zero
            return self._add(stored, FLOAT, bounds, {})
        indices = self.view(rows.astype(_DTYPES[UINT]).tobytes())
        kept = {
            "count": len(rows),
            "indices": {"bufferView": indices, "componentType": UINT},
            "values": {"bufferView": self.view(stored[rows].tobytes())},
        }
        return self._add(stored, FLOAT, bounds, {"sparse": kept})

    def _add(self, stored: np.ndarray, kind: int, bounds: bool, where: dict) -> int:
        shape = "SCALAR" if stored.ndim == 1 else f"VEC{stored.shape[1]}"
        limits = {"min": stored.min(0).tolist(), "max": stored.max(0).tolist()} if bounds else {}
        self.accessors.append({"componentType": kind, "count": len(stored), "type": shape} | where | limits)
        return len(self.accessors) - 1


_DTYPES = {FLOAT: "<f4", USHORT: "<u2", UINT: "<u4"}


EXPORTERS.add(".glb", files)
