"""Wavefront .obj, with an .mtl and a .png beside it where there is a texture. See `facemodel.export.mesh.EXPORTERS`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel.export.mesh import EXPORTERS, Mesh, png_bytes


@dataclass(frozen=True)
class Parts:
    """What .obj files of a mesh have in common, whatever its vertices are."""

    head: str  # lines before the vertices
    after: tuple[str, ...]  # of each vertex' line
    tail: str  # lines after the vertices
    beside: dict[str, bytes]  # .mtl and .png, by name

    @classmethod
    def of(cls, mesh: Mesh, texture: np.ndarray | None, name: str, unit: str = "millimetres") -> Parts:
        """texture: (H, W, 3) uint8 sRGB. name: of the .mtl and the .png, without their ends."""
        head = [f"# {unit}; x to the subject's left, y up, z towards the viewer"]
        if texture is None:
            after = [f" {r:.4f} {g:.4f} {b:.4f}" for r, g, b in mesh.colors / 255]
            tail, beside = ["g face"], {}
            tail += [f"f {a} {b} {c}" for a, b, c in mesh.triangles + 1]
        else:
            name = "".join(c if c.isprintable() else "_" for c in name)  # a line of the file
            mtl, png = f"{name}.mtl", f"{name}.albedo.png"
            head, after = [*head, f"mtllib {mtl}"], [""] * len(mesh.vertices)
            corners = zip(mesh.triangles + 1, mesh.uv_triangles + 1)
            tail = ["g face", *(f"vt {u:.6f} {v:.6f}" for u, v in mesh.uv), "usemtl face"]
            tail += [f"f {a}/{d} {b}/{e} {c}/{f}" for (a, b, c), (d, e, f) in corners]
            look = f"newmtl face\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {png}\n"
            beside = {mtl: look.encode(), png: png_bytes(texture)}
        return cls("\n".join(head) + "\n", tuple(after), "\n".join(tail) + "\n", beside)

    def with_vertices(self, vertices: np.ndarray, digits: int = 5) -> bytes:
        """The file of vertices (V, 3), with so many digits after the point."""
        line = f"v %.{digits}f %.{digits}f %.{digits}f%s\n"
        lines = [line % (x, y, z, after) for (x, y, z), after in zip(vertices.tolist(), self.after)]
        return (self.head + "".join(lines) + self.tail).encode()

    def files(self, folder: Path) -> dict[Path, bytes]:
        """What goes beside it."""
        return {folder / name: data for name, data in self.beside.items()}


def files(mesh: Mesh, texture: np.ndarray | None, path: Path, _facts: dict) -> dict[Path, bytes]:
    """See `EXPORTERS`."""
    parts = Parts.of(mesh, texture, path.stem)
    return parts.files(path.parent) | {path: parts.with_vertices(mesh.vertices)}


EXPORTERS.add(".obj", files)
