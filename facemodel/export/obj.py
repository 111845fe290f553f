"""Wavefront .obj, with an .mtl and a .png beside it where there is a texture. See `facemodel.export.mesh.EXPORTERS`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facemodel.export.mesh import EXPORTERS, Mesh, png_bytes


def files(mesh: Mesh, texture: np.ndarray | None, path: Path, _facts: dict) -> dict[Path, bytes]:
    lines = ["# millimetres; x to the subject's left, y up, z towards the viewer"]
    files = {}
    if texture is None:
        colors = mesh.colors / 255
        lines += [
            f"v {x:.5f} {y:.5f} {z:.5f} {r:.4f} {g:.4f} {b:.4f}" for (x, y, z), (r, g, b) in zip(mesh.vertices, colors)
        ]
    else:
        mtl, png = path.with_suffix(".mtl"), path.with_name(path.stem + ".albedo.png")
        lines += [f"mtllib {mtl.name}"] + [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh.vertices]
        files[mtl] = f"newmtl face\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {png.name}\n".encode()
        files[png] = png_bytes(texture)
    lines += ["g face"]
    if texture is None:
        lines += [f"f {a} {b} {c}" for a, b, c in mesh.triangles + 1]
    else:
        corners = zip(mesh.triangles + 1, mesh.uv_triangles + 1)
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in mesh.uv] + ["usemtl face"]
        lines += [f"f {a}/{d} {b}/{e} {c}/{f}" for (a, b, c), (d, e, f) in corners]
    return files | {path: ("\n".join(lines) + "\n").encode()}


EXPORTERS.add(".obj", files)
