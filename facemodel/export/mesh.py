"""Meshes for other programs: OBJ, PLY and GLB in the model's axes, with landmarks and camera.

Positions are in millimetres. glTF defines metres, so the node of a .glb scales them: programs show a head of its size.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel.base import check_same_model
from facemodel.export.glb import Shape, glb_bytes
from facemodel.track import FrameStatus, Track
from foundation.atomic import write_files
from foundation.errors import PortraitError
from geometry.camera import opencv_extrinsics, project, to_camera
from geometry.color import linear_to_srgb, srgb_to_linear
from geometry.mesh import vertex_normals

FORMATS = (".obj", ".ply", ".glb")
METRES = 0.001  # a millimetre


@dataclass(frozen=True)
class Mesh:
    """One frame's face as arrays."""

    vertices: np.ndarray  # (V, 3) mm, model frame: x to the subject's left, y up, z towards the viewer
    triangles: np.ndarray  # (T, 3), counter-clockwise from outside
    uv: np.ndarray  # (U, 2) in [0, 1], v up
    uv_triangles: np.ndarray  # (T, 3) into uv
    colors: np.ndarray  # (V, 3) uint8 sRGB, the albedo
    neutral: np.ndarray  # (V, 3) mm, the vertices without expression
    shapes: np.ndarray  # (E, V, 3) mm, what an activation of 1 adds to them
    shape_names: tuple[str, ...]  # (E,)
    activations: np.ndarray  # (E,) of the frame


def export_mesh(track: Track, frame: int, model, path: str | os.PathLike, texture: np.ndarray | None = None) -> Path:
    """Writes a frame's mesh, and ``<stem>.landmarks.json`` beside it (see ``frame_facts``).

    The mesh is in the model's axes and millimetres, with the frame's identity, expression and gaze; the head's pose
    is in the JSON, as the camera's rotation and translation.

    A .glb has a node that scales it to metres, normals, and the expression as morph targets: its vertices are the
    face without expression, its default weights the frame's activations. Programs that know nothing of morph targets
    show the face at rest.

    path: ending in .obj (with .mtl and .albedo.png beside it), .ply (vertex colours) or .glb.
    texture: (H, W, 3) uint8 sRGB over the UV chart, row 0 at v = 1; None colours the vertices instead.
    Raises PortraitError for a frame that isn't there or has no face, another model, an unknown format.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise PortraitError(f"export '{path}': expected a name ending in {', '.join(FORMATS)}, got '{path.suffix}'")
    if not 0 <= frame < len(track):
        raise PortraitError(f"export frame: expected 0 to {len(track) - 1}, got {frame}")
    check_same_model("export track: fitted", track, model)
    if not track.tracked[frame]:
        raise PortraitError(f"export frame {frame}: no face was found in it; choose another frame")
    mesh = frame_mesh(track, frame, model)
    writers = {".obj": _obj_files, ".ply": _ply_files, ".glb": _glb_files}
    facts = frame_facts(track, frame, model)
    files = writers[path.suffix.lower()](mesh, texture, path, facts)
    files[path.with_name(path.stem + ".landmarks.json")] = json.dumps(facts, indent=1).encode()
    write_files(files, "export")
    return path


def frame_mesh(track: Track, frame: int, model) -> Mesh:
    """The mesh of one frame, without the head's pose."""
    p = track.parameters.expanded()[frame].to(model.mean.device)
    vertices = model.vertices(p.identity, p.expression, p.gaze)
    albedo = model.albedo(p.reflectance).clamp(0, 1)
    srgb = linear_to_srgb(albedo)
    neutral = model.vertices(p.identity, None, p.gaze)
    arrays = (vertices, model.triangles, model.uv, model.uv_triangles, (srgb * 255).round())
    v, t, uv, uv_t, colors, base, shapes, activations = (
        a.detach().cpu().numpy() for a in (*arrays, neutral, model.expression_basis, p.expression)
    )
    return Mesh(
        v.astype(np.float64), t, uv.astype(np.float64), uv_t, colors.astype(np.uint8),
        base.astype(np.float64), shapes.astype(np.float64), model.expression_names, activations,
    )  # fmt: skip


def frame_facts(track: Track, frame: int, model) -> dict:
    """What the mesh alone doesn't say: iBUG 68 landmarks on it and the camera of the original frame.

    ``landmarks.positions``: 68 x 3, mm, on the exported mesh. ``camera``: K (3 x 3, px), R (3 x 3), t (3, mm) with
    x_camera = R x_model + t in OpenCV's axes (x right, y down, z forward); a point is at pixel
    (u, v, 1) ~ K x_camera, where the centre of the top left pixel is (0.5, 0.5).
    """
    p = track.parameters.expanded()[frame].to(model.mean.device)
    positions = model.landmarks(model.vertices(p.identity, p.expression, p.gaze), "ibug68").detach().cpu().double()
    rotation, translation = p.rotation.cpu().double(), p.translation.cpu().double()
    pixels = project(to_camera(positions, rotation, translation), track.camera)
    extrinsic, _ = opencv_extrinsics(rotation, translation)
    return {
        "model": track.model,
        "fingerprint": track.fingerprint,
        "units": "mm",
        "mesh_axes": "x to the subject's left, y up, z towards the viewer",
        "source": track.facts.get("source"),
        "frame": frame,
        "time": float(track.times[frame]),
        "status": FrameStatus(int(track.status[frame])).label,
        "frame_size": {"width": track.width, "height": track.height},
        "camera": {
            "convention": "x_camera = R x_model + t; OpenCV axes: x right, y down, z forward; "
            "(u, v, 1) ~ K x_camera; the top left pixel's centre is (0.5, 0.5)",
            "K": track.camera.intrinsics().tolist(),
            "R": extrinsic.tolist(),
            "t": translation.tolist(),
        },
        "landmarks": {"scheme": "ibug68", "positions": positions.tolist(), "pixels": pixels.tolist()},
    }


def _obj_files(mesh: Mesh, texture: np.ndarray | None, path: Path, _facts: dict) -> dict[Path, bytes]:
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
        files[png] = _png(texture)
    lines += ["g face"]
    if texture is None:
        lines += [f"f {a} {b} {c}" for a, b, c in mesh.triangles + 1]
    else:
        corners = zip(mesh.triangles + 1, mesh.uv_triangles + 1)
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in mesh.uv] + ["usemtl face"]
        lines += [f"f {a}/{d} {b}/{e} {c}/{f}" for (a, b, c), (d, e, f) in corners]
    return files | {path: ("\n".join(lines) + "\n").encode()}


def _ply_files(mesh: Mesh, texture: np.ndarray | None, path: Path, _facts: dict) -> dict[Path, bytes]:
    """PLY has no textures that programs agree on, so its vertices are coloured."""
    import trimesh

    coloured = trimesh.Trimesh(mesh.vertices, mesh.triangles, vertex_colors=mesh.colors, process=False)
    return {path: coloured.export(file_type="ply")}


def _glb_files(mesh: Mesh, texture: np.ndarray | None, path: Path, facts: dict) -> dict[Path, bytes]:
    """A vertex has one texture coordinate there: split along the chart's seams."""
    corners = np.stack([mesh.triangles.ravel(), mesh.uv_triangles.ravel()], -1)
    if texture is None:
        corners[:, 1] = 0
    pairs, index = np.unique(corners, axis=0, return_inverse=True)
    at = pairs[:, 0]
    rest = _normals(mesh, mesh.neutral)
    shapes = {
        name: Shape(added[at], (_normals(mesh, mesh.neutral + added) - rest)[at])
        for name, added in zip(mesh.shape_names, mesh.shapes)
    }
    look = {"colors": _linear(mesh.colors[at])} if texture is None else {"uv": mesh.uv[pairs[:, 1]]}
    kept = {name: facts[name] for name in ("model", "fingerprint", "source", "frame", "time")}
    data = glb_bytes(
        mesh.neutral[at], rest[at], index.reshape(-1, 3), scale=METRES, shapes=shapes, weights=mesh.activations,
        texture=None if texture is None else _png(texture), facts=kept, **look,
    )  # fmt: skip
    return {path: data}


def _normals(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals of vertices (V, 3)."""
    return vertex_normals(torch.from_numpy(vertices), torch.from_numpy(mesh.triangles)).numpy()


def _linear(colors: np.ndarray) -> np.ndarray:
    """uint8 sRGB as linear RGB, 0 to 1: what glTF's vertex colours are."""
    return srgb_to_linear(torch.from_numpy(colors / 255)).numpy()


def _png(texture: np.ndarray) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(texture).save(buffer, "png")
    return buffer.getvalue()
