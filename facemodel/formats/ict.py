"""ICT-FaceKit Light (USC ICT, MIT): a folder of meshes, one a component, and expressions by ARKit's names.

Every OBJ is a whole mesh at weight 1, so a component is its difference from the neutral one. Centimetres, y up, z to
the front. Parts that a renderer would draw as glass, or behind it (tear fluid, occlusion, lashes, the inside of
the eyeballs) keep their vertices and lose their triangles; the iris is a disc on the eyeball's outside.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from facemodel.arkit import ARKIT_NAMES
from facemodel.base import Block
from facemodel.formats import _assemble
from facemodel.formats._assemble import Eyeballs, Parts
from facemodel.formats._containers import Summary, read_json, read_obj, read_vertices
from facemodel.formats._foreign import Extras, ForeignFormat

NEUTRAL, TABLE = "generic_neutral_mesh.obj", "vertex_indices.json"
RANGES = {  # vertices, first and one past the last, by the README
    "face": (0, 6706), "head": (0, 11248), "mouth_socket": (11248, 13294),
    "gums": (14062, 17039), "teeth": (17039, 21451), "left_eye": (21451, 23021), "left_inside": (22221, 23021),
    "right_eye": (23021, 24591), "right_inside": (23791, 24591),
}  # fmt: skip
DISCS = {"iris": 0.59, "pupil": 0.2}  # cm, radii: people's own
GLASS = (24591, 26719)  # tear fluid, eye blend, occlusion, lashes
COUNT = 26719
# Where a tile of the texture (the whole part of u, eyes by side) goes in the one atlas: left, bottom, size.
TILES = {0: (0.0, 0.4, 0.6), 1: (0.6, 0.6, 0.4), 2: (0.0, 0.0, 0.25), 3: (0.25, 0.0, 0.25)}
EYE_TILES = {"left_eye": (0.5, 0.0, 0.25), "right_eye": (0.75, 0.0, 0.25)}


def _folder(path: Path) -> Path | None:
    """The folder that has the meshes: the one given, or FaceXModel within it."""
    return next((f for f in (path, path / "FaceXModel") if (f / NEUTRAL).is_file() and (f / TABLE).is_file()), None)


class IctFormat(ForeignFormat):
    """See `facemodel.registry.Format`."""

    name = "ict-facekit"
    title = "ICT-FaceKit"

    def knows(self, path: Path, summary: Summary) -> bool:
        return summary.kind == "folder" and _folder(path) is not None

    def parts(self, path: Path, extras: Extras) -> tuple[Parts, list[Path]]:
        folder = _folder(path)
        table = read_json(folder / TABLE)
        mesh = read_obj(folder / NEUTRAL)
        if len(mesh.vertices) != COUNT:
            raise _assemble.refused(path, f"its neutral mesh has {len(mesh.vertices)} vertices, expected {COUNT}")
        names = [str(n) for n in table["expressions"]]
        identities = sorted(p for p in folder.glob("identity*.obj") if re.fullmatch(r"identity\d+", p.stem))
        if identities and [int(p.stem[8:]) for p in identities] != list(range(len(identities))):
            raise _assemble.refused(path, f"some identities before the last, {identities[-1].name}, are missing")
        files = [*identities, *(folder / f"{n}.obj" for n in names)]
        if missing := [p.name for p in files if not p.is_file()]:
            raise _assemble.refused(path, f"'{missing[0]}' is missing")
        with ThreadPoolExecutor(2) as pool:
            offsets = [v - mesh.vertices for v in pool.map(_mesh_of(mesh.vertices.shape), files)]
        identity = np.stack(offsets[: len(identities)]) if identities else np.zeros((0, COUNT, 3))
        notes = [
            "tear fluid, eye occlusion, lashes and the eyeballs' inside aren't drawn: they are made to be seen through"
        ]
        if len(identities) < 100:
            notes.append(f"{len(identities)} of the 100 identities are there")
        merged: dict[str, np.ndarray] = {}
        for name, offset in zip(names, offsets[len(identities) :]):
            if name.startswith("eyeLook"):  # gaze turns the eyeballs
                for side in ("left_eye", "right_eye"):
                    offset[slice(*RANGES[side])] = 0
            key = _arkit(name)
            merged[key] = merged.get(key, 0) + offset
        expression = np.stack(list(merged.values()))
        notes.append("browInnerUp_L and _R are one expression, as ARKit has it, and so are cheekPuff_L and _R")
        hidden = (GLASS, RANGES["left_inside"], RANGES["right_inside"])
        kept = ~np.any([((mesh.triangles >= a) & (mesh.triangles < b)).any(-1) for a, b in hidden], axis=0)
        triangles = mesh.triangles[kept]
        balls = tuple(np.arange(*RANGES[f"{side}_eye"]) for side in ("left", "right"))
        shells = tuple(np.arange(RANGES[f"{s}_eye"][0], RANGES[f"{s}_inside"][0]) for s in ("left", "right"))
        fitted = Eyeballs.fitted(shells, mesh.vertices, identity)
        parts = Parts(
            mesh.vertices,
            triangles,
            identity,
            expression,
            Block.activations(tuple(merged)),
            10.0,
            "centimetres, times 10",
            self.title,
            "MIT, code and data",
            notes=notes,
            eyes=Eyeballs(balls, fitted.center, fitted.center_basis, fitted.radius, fitted.radius_basis),
        )
        if mesh.uv is not None:
            parts.uv = _packed(mesh.uv, mesh.uv_triangles[kept], triangles)
            notes.append("the tiles of its texture lie side by side in one atlas: the face in the upper left 0.6")
        marks = {k: int(v) for k, v in enumerate(table["idx_to_landmark_verts"])}
        parts.landmarks["ibug68"] = _assemble.on_vertices(triangles, marks, 68, _assemble.ibug_weights())
        span = {name: _assemble.mask(COUNT, np.arange(*ends)) for name, ends in RANGES.items()}
        parts.regions = {
            "face": span["face"], "skin": span["head"], "teeth": span["teeth"],
            "mouth_inside": span["mouth_socket"] | span["gums"], "eyes": span["left_eye"] | span["right_eye"],
            **{name: _front(mesh.vertices, shells, fitted.center, radius) for name, radius in DISCS.items()},
        }  # fmt: skip
        return parts, [folder / NEUTRAL, folder / TABLE, *files]


def _mesh_of(shape: tuple[int, ...]):
    def read(file: Path) -> np.ndarray:
        vertices = read_vertices(file)
        if vertices.shape != shape:
            raise _assemble.refused(file, f"it has {len(vertices)} vertices, the neutral mesh {shape[0]}")
        return vertices

    return read


def _front(vertices: np.ndarray, shells: tuple[np.ndarray, ...], centers: np.ndarray, radius: float) -> np.ndarray:
    """(V,) bool: what of the eyeballs lies within a disc about the straight gaze."""
    found = np.zeros(len(vertices), dtype=bool)
    for shell, center in zip(shells, centers):
        offset = vertices[shell] - center
        found[shell] = (np.linalg.norm(offset[:, :2], axis=-1) < radius) & (offset[:, 2] > 0)
    return found


def _arkit(name: str) -> str:
    """ARKit's name of one of ICT's; the two that ARKit has once for both sides lose theirs."""
    side = {"_L": "Left", "_R": "Right"}.get(name[-2:])
    if side is None:
        return name
    base = name[:-2]
    return base if base in ARKIT_NAMES else base + side


def _packed(uv: np.ndarray, uv_triangles: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One atlas of several tiles; the eyes', which lie over the face's, get places of their own."""
    middle = uv[uv_triangles].mean(1)
    tile = np.floor(middle[:, 0]).astype(int)
    places = np.array([TILES.get(t, TILES[1]) for t in tile])
    origin = np.c_[tile, np.zeros(len(tile))]
    for name, place in EYE_TILES.items():
        places[((triangles >= RANGES[name][0]) & (triangles < RANGES[name][1])).all(-1)] = place
    corners = (uv[uv_triangles] - origin[:, None]) * places[:, None, 2:] + places[:, None, :2]
    flat, index = np.unique(np.round(corners.reshape(-1, 2), 7), axis=0, return_inverse=True)
    return np.clip(flat, 0, 1), index.reshape(-1, 3)


READER = IctFormat()
