"""Stanford .ply with vertex colours. See `facemodel.export.mesh.EXPORTERS`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.export.mesh import EXPORTERS, Mesh


def files(mesh: Mesh, texture: np.ndarray | None, path: Path, _facts: dict) -> dict[Path, bytes]:
    """PLY has no textures that programs agree on, so its vertices are coloured."""
    import trimesh

    coloured = trimesh.Trimesh(mesh.vertices, mesh.triangles, vertex_colors=mesh.colors, process=False)
    return {path: coloured.export(file_type="ply")}


EXPORTERS.add(".ply", files)
