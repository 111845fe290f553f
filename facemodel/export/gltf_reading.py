"""A .glb of `facemodel.export.animated.glb`, read again by the words of glTF's specification: what ``--check`` asks."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np

from facemodel.export.gltf import DTYPES, read_glb_table

WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Gltf:
    """The first mesh of a file, with its shapes, skin and animation. Numbers are kept as stored."""

    def __init__(self, data: bytes) -> None:
        self.table = read_glb_table(data)
        at = 20 + int.from_bytes(data[12:16], "little")
        self.binary = data[at + 8 : at + 8 + int.from_bytes(data[at : at + 4], "little")]

    def node(self, name: str) -> dict:
        """KeyError where there is none."""
        return {n.get("name"): n for n in self.table["nodes"]}[name]

    def _view(self, index: int, kind: int, count: int, width: int, offset: int = 0) -> np.ndarray:
        start = self.table["bufferViews"][index].get("byteOffset", 0) + offset
        return np.frombuffer(self.binary, np.dtype(DTYPES[kind]), count * width, start).reshape(count, width)

    @cache  # noqa: B019 (files are few, and read once)
    def array(self, index: int) -> np.ndarray:
        """(N, width) of an accessor, sparse ones filled."""
        a = self.table["accessors"][index]
        count, width, kind = a["count"], WIDTHS[a["type"]], a["componentType"]
        found = np.zeros((count, width), DTYPES[kind])
        if "bufferView" in a:
            found = self._view(a["bufferView"], kind, count, width, a.get("byteOffset", 0))
        if sparse := a.get("sparse"):
            found = found.copy()
            i, v = sparse["indices"], sparse["values"]
            rows = self._view(i["bufferView"], i["componentType"], sparse["count"], 1)[:, 0]
            found[rows] = self._view(v["bufferView"], kind, sparse["count"], width)
        return found

    @cached_property
    def _tracks(self) -> dict[tuple[int, str], np.ndarray]:
        """(node, path) -> (F, width) keys."""
        animation = self.table["animations"][0]
        found = {}
        for channel in animation["channels"]:
            keys = self.array(animation["samplers"][channel["sampler"]]["output"])
            found[channel["target"]["node"], channel["target"]["path"]] = keys
        return found

    @property
    def times(self) -> np.ndarray:
        """(F,) seconds of the keys."""
        return self.array(self.table["animations"][0]["samplers"][0]["input"])[:, 0]

    def local(self, node: int, frame: int) -> np.ndarray:
        """(4, 4) of a node at a key."""
        table, made = self.table["nodes"][node], np.eye(4)
        default = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
        t, r, s = (
            np.asarray(self._tracks[node, n][frame] if (node, n) in self._tracks else table.get(n, d), float)
            for n, d in default.items()
        )
        x, y, z, w = r / np.linalg.norm(r)
        made[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        made[:3, :3] *= s
        made[:3, 3] = t
        return made

    def world(self, node: int, frame: int) -> np.ndarray:
        """(4, 4) of a node in the scene."""
        parent = next((k for k, n in enumerate(self.table["nodes"]) if node in n.get("children", ())), None)
        local = self.local(node, frame)
        return local if parent is None else self.world(parent, frame) @ local

    def morphed(self, frame: int) -> np.ndarray:
        """(V, 3) of the mesh with its shapes at a key, in its own unit."""
        primitive = self.table["meshes"][0]["primitives"][0]
        base = self.array(primitive["attributes"]["POSITION"]).astype(float)
        node = next(k for k, n in enumerate(self.table["nodes"]) if "mesh" in n)
        targets = primitive.get("targets", [])
        if targets:
            weights = self._tracks[node, "weights"].reshape(-1, len(targets))[frame]
            base = base + np.tensordot(weights.astype(float), self._shapes, 1)
        return base

    @cached_property
    def _shapes(self) -> np.ndarray:
        targets = self.table["meshes"][0]["primitives"][0]["targets"]
        return np.stack([self.array(t["POSITION"]) for t in targets]).astype(float)

    def skinned(self, frame: int) -> np.ndarray:
        """(V, 3) of the mesh in the scene, metres, at a key."""
        attributes = self.table["meshes"][0]["primitives"][0]["attributes"]
        skin = self.table["skins"][0]
        inverse = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(-1, -2).astype(float)
        each = np.stack([self.world(j, frame) @ m for j, m in zip(skin["joints"], inverse)])
        points = np.concatenate([self.morphed(frame), np.ones((len(self.array(attributes["POSITION"])), 1))], -1)
        moved = np.zeros((len(points), 3))
        for k in range(sum(name.startswith("JOINTS_") for name in attributes)):
            joints, weights = self.array(attributes[f"JOINTS_{k}"]), self.array(attributes[f"WEIGHTS_{k}"])
            for c in range(4):
                moved += weights[:, c, None] * np.einsum("vab,vb->va", each[joints[:, c]], points)[:, :3]
        return moved
