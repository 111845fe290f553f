"""The container of glTF 2.0's binary files (.glb): buffers, accessors, a mesh with morph targets.

`facemodel.export.glb` and `facemodel.export.animated.glb` write with it. Written by hand: pygltflib takes 0.4 s to
import and 0.26 s to read such a file (here 0.4 ms), and its caller lays out buffers and accessors as `Buffer` does.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from facemodel.export.mesh import Mesh, normals_of, png_bytes
from geometry.color import srgb_to_linear

FLOAT, BYTE, USHORT, UINT = 5126, 5121, 5123, 5125  # glTF's component types
DTYPES = {FLOAT: "<f4", BYTE: "u1", USHORT: "<u2", UINT: "<u4"}
VERTICES, INDICES = 34962, 34963  # what a view of the buffer is for
MATERIAL = {"metallicFactor": 0.0, "roughnessFactor": 0.8}
METRES = 0.001  # a millimetre


@dataclass(frozen=True)
class Shape:
    """A morph target: what is added at an activation of 1."""

    positions: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3)


@dataclass(frozen=True)
class GltfSurface:
    """A mesh whose vertices have one texture coordinate each, with a texture or coloured vertices."""

    positions: np.ndarray  # (V, 3), without any shape
    normals: np.ndarray  # (V, 3) unit
    triangles: np.ndarray  # (T, 3) into them, counter-clockwise from outside
    shapes: Mapping[str, Shape]
    source: np.ndarray  # (V,) which of the mesh's vertices each is
    uv: np.ndarray | None = None  # (V, 2), v up
    texture: bytes | None = None  # PNG, row 0 at v = 1
    colors: np.ndarray | None = None  # (V, 3) linear RGB, 0 to 1, as glTF's vertex colours are
    unlit: bool = False  # the texture has its light in it

    @classmethod
    def of(cls, mesh: Mesh, texture: np.ndarray | None, unlit: bool = False) -> GltfSurface:
        """A mesh at rest, split along the atlas' seams where there is a texture (H, W, 3) uint8 sRGB."""
        seams = np.zeros_like(mesh.triangles) if texture is None else mesh.uv_triangles
        corners = np.stack([mesh.triangles.ravel(), seams.ravel()], -1)
        pairs, index = np.unique(corners, axis=0, return_inverse=True)
        at, rest = pairs[:, 0], normals_of(mesh, mesh.neutral)
        shapes = {
            name: Shape(added[at], (normals_of(mesh, mesh.neutral + added) - rest)[at])
            for name, added in zip(mesh.shape_names, mesh.shapes)
        }
        if texture is None:
            look = {"colors": srgb_to_linear(torch.from_numpy(mesh.colors[at] / 255)).numpy()}
        else:
            look = {"uv": mesh.uv[pairs[:, 1]], "texture": png_bytes(texture)}
        return cls(mesh.neutral[at], rest[at], index.reshape(-1, 3), shapes, at, unlit=unlit, **look)


@dataclass
class Buffer:
    """The binary part, and what the JSON says of it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict] = field(default_factory=list)
    accessors: list[dict] = field(default_factory=list)

    def view(self, raw: bytes, use: int | None = None) -> int:
        """Some bytes; the view's index. use: `VERTICES` or `INDICES` of what a GPU draws."""
        more = {} if use is None else {"target": use}
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)} | more)
        self.data += raw + bytes(-len(raw) % 4)
        return len(self.views) - 1

    def accessor(
        self, array: np.ndarray, kind: int = FLOAT, *, bounds: bool = False, normalized: bool = False,
        use: int | None = None,
    ) -> int:  # fmt: skip
        """(N,), (N, 2 to 4) or (N, 4, 4) matrices, stored as ``kind``; the accessor's index."""
        stored = array.astype(DTYPES[kind])
        more = {"normalized": True} if normalized else {}
        raw = stored.swapaxes(-1, -2).tobytes() if stored.ndim == 3 else stored.tobytes()  # columns first
        return self._add(stored, kind, bounds, {"bufferView": self.view(raw, use)} | more)

    def sparse(self, array: np.ndarray, *, bounds: bool = False) -> int:
        """(N, 3) float, of which only rows that aren't zero are stored."""
        stored = array.astype(DTYPES[FLOAT])
        rows = np.flatnonzero(stored.any(-1))
        if not len(rows):  # without a view all are zero
            return self._add(stored, FLOAT, bounds, {})
        indices = self.view(rows.astype(DTYPES[UINT]).tobytes())
        kept = {
            "count": len(rows),
            "indices": {"bufferView": indices, "componentType": UINT},
            "values": {"bufferView": self.view(stored[rows].tobytes())},
        }
        return self._add(stored, FLOAT, bounds, {"sparse": kept})

    def _add(self, stored: np.ndarray, kind: int, bounds: bool, where: dict) -> int:
        shape = {1: "SCALAR", 3: "MAT4"}.get(stored.ndim) or f"VEC{stored.shape[1]}"
        limits = {n: np.atleast_1d(f(0)).tolist() for n, f in (("min", stored.min), ("max", stored.max)) if bounds}
        self.accessors.append({"componentType": kind, "count": len(stored), "type": shape} | where | limits)
        return len(self.accessors) - 1


def add_surface(b: Buffer, surface: GltfSurface, weights: np.ndarray, more: Mapping[str, int] = {}) -> dict:
    """A file's meshes, materials, textures and images, for the one mesh "face" with these default weights (S,).

    Shapes are stored sparsely, since most move a small part of the face; their names are in ``extras.targetNames``.
    more: attributes of the vertices beside position, normal and texture coordinate or colour.
    """
    attributes = {"POSITION": b.accessor(surface.positions, bounds=True, use=VERTICES)}
    attributes["NORMAL"] = b.accessor(surface.normals, use=VERTICES)
    material: dict = {"pbrMetallicRoughness": dict(MATERIAL)}
    table: dict = {}
    if surface.texture is not None:
        v_down = np.stack([surface.uv[:, 0], 1 - surface.uv[:, 1]], -1)
        attributes["TEXCOORD_0"] = b.accessor(v_down, use=VERTICES)
        table["images"] = [{"bufferView": b.view(surface.texture), "mimeType": "image/png"}]
        table["textures"] = [{"source": 0}]
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    else:
        rgba = np.concatenate([surface.colors, np.ones((len(surface.colors), 1))], -1)
        attributes["COLOR_0"] = b.accessor(np.round(rgba * 65535), USHORT, normalized=True, use=VERTICES)
    if surface.unlit:
        material["extensions"] = {"KHR_materials_unlit": {}}
        table["extensionsUsed"] = ["KHR_materials_unlit"]
    shapes = surface.shapes
    targets = [{"POSITION": b.sparse(s.positions, bounds=True), "NORMAL": b.sparse(s.normals)} for s in shapes.values()]
    indices = b.accessor(surface.triangles.reshape(-1), UINT, use=INDICES)
    primitive = {"attributes": attributes | dict(more), "indices": indices, "material": 0}
    mesh: dict = {"name": "face", "primitives": [primitive]}
    if targets:
        primitive["targets"] = targets
        mesh |= {"weights": [float(w) for w in weights], "extras": {"targetNames": list(shapes)}}
    return table | {"meshes": [mesh], "materials": [material]}


def pack_glb(table: Mapping, b: Buffer, facts: Mapping) -> bytes:
    """The file of a scene's JSON and its buffer; ``facts`` are kept as ``asset.extras``."""
    whole = {
        "asset": {"version": "2.0", "generator": "video-portraits", "extras": dict(facts)},
        **table,
        "accessors": b.accessors,
        "bufferViews": b.views,
        "buffers": [{"byteLength": len(b.data)}],
    }
    text = json.dumps(whole, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(b.data)
    head = struct.pack("<4sII", b"glTF", 2, size) + struct.pack("<I4s", len(text), b"JSON")
    return b"".join([head, text, struct.pack("<I4s", len(b.data), b"BIN\0"), b.data])


def read_glb_table(data: bytes) -> dict:
    """The JSON of a .glb file's bytes. Raises ValueError for anything else."""
    if len(data) < 20 or data[:4] != b"glTF" or data[16:20] != b"JSON":
        raise ValueError("no .glb file")
    length = struct.unpack_from("<I", data, 12)[0]
    if len(data) < struct.unpack_from("<I", data, 8)[0]:
        raise ValueError("a truncated .glb file")
    return json.loads(data[20 : 20 + length])
