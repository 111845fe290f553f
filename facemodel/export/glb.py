"""glTF 2.0 in one binary file (.glb) of one frame: a mesh with morph targets, as Blender and engines read it.

See `facemodel.export.mesh.EXPORTERS`; `facemodel.export.animated.glb` writes all frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.export.gltf import METRES, Buffer, GltfSurface, add_surface, pack_glb
from facemodel.export.mesh import EXPORTERS, Mesh


def files(mesh: Mesh, texture: np.ndarray | None, path: Path, facts: dict) -> dict[Path, bytes]:
    """The face at rest under a node that scales its millimetres to metres; default weights are the frame's."""
    b = Buffer()
    table = add_surface(b, GltfSurface.of(mesh, texture), mesh.activations)
    scene = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": "face", "mesh": 0, "scale": [METRES] * 3}]}
    kept = {name: facts[name] for name in ("model", "fingerprint", "source", "frame", "time")}
    return {path: pack_glb(scene | table, b, kept)}


EXPORTERS.add(".glb", files)
