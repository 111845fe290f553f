"""Meshes for other programs, in the model's axes, with landmarks and camera: what all formats have in common.

`export_mesh` writes a frame of a track; a format is a file beside this one that adds itself to `EXPORTERS`.
Positions are in millimetres. glTF defines metres, so the node of a .glb scales them: programs show a head of its size.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facemodel.base import FaceModel, check_same_model
from facemodel.track import FrameStatus, Track
from foundation.atomic import write_files
from foundation.errors import PortraitError
from foundation.registry import Registry
from geometry.camera import opencv_extrinsics, project, to_camera
from geometry.color import linear_to_srgb, to_uint8
from geometry.mesh import vertex_normals

EXPORTERS: Registry = Registry("mesh format", package="facemodel.export")
"""By suffix: functions (mesh: Mesh, texture: array or None, path, facts: dict) -> {path: bytes}, the files to write."""


@dataclass(frozen=True)
class Mesh:
    """One frame's face as arrays."""

    vertices: np.ndarray  # (V, 3) mm, model frame: x to the subject's left, y up, z towards the viewer
    triangles: np.ndarray  # (T, 3), counter-clockwise from outside
    uv: np.ndarray | None  # (U, 2) in [0, 1], v up; None of a model without an atlas
    uv_triangles: np.ndarray | None  # (T, 3) into uv
    colors: np.ndarray  # (V, 3) uint8 sRGB, the albedo
    neutral: np.ndarray  # (V, 3) mm, the vertices without expression
    shapes: np.ndarray  # (E, V, 3) mm, what a unit of each expression adds to them
    shape_names: tuple[str, ...]  # (E,)
    activations: np.ndarray  # (E,) of the frame, counted from the model's rest


def export_mesh(
    track: Track, frame: int, model: FaceModel, path: str | os.PathLike, texture: np.ndarray | None = None
) -> Path:
    """Writes a frame's mesh, and ``<stem>.landmarks.json`` beside it (see ``frame_facts``).

    The mesh is in the model's axes and millimetres, with the frame's identity, expression and gaze; the head's pose
    is in the JSON, as the camera's rotation and translation.

    A .glb has a node that scales it to metres, normals, and the expression as morph targets: its vertices are the
    face without expression, its default weights the frame's activations. Programs that know nothing of morph targets
    show the face at rest.

    path: ending in .obj (with .mtl and .albedo.png beside it), .ply (vertex colours), .glb or another of `EXPORTERS`.
    texture: (H, W, 3) uint8 sRGB over the UV atlas, row 0 at v = 1; None colours the vertices instead.
    Raises PortraitError for a frame that isn't there or has no face, another model, an unknown format, a texture for
    a model without an atlas.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in EXPORTERS:
        ends = ", ".join(sorted(EXPORTERS))
        raise PortraitError(f"export '{path}': expected a name ending in {ends}, got '{path.suffix}'")
    check_same_model("export track: fitted", track, model)
    track.check_frame(frame, "export frame")
    if texture is not None:
        model.require("atlas", "a texture on the mesh")
    facts = frame_facts(track, frame, model)
    files = EXPORTERS[suffix](frame_mesh(track, frame, model), texture, path, facts)
    files[path.with_name(path.stem + ".landmarks.json")] = json.dumps(facts, indent=1).encode()
    write_files(files, "export")
    return path


def frame_mesh(track: Track, frame: int, model: FaceModel) -> Mesh:
    """The mesh of one frame, without the head's pose; its joints are as in the frame."""
    p = track.parameters.expanded()[frame].to(model.mean.device)
    joints = p.joints if model.count("joints") else None
    rest = model.blocks["expression"].mean
    surface = model.linearize(p.identity, rest, p.joints)
    colors = to_uint8(linear_to_srgb(model.albedo(p.reflectance)))
    neutral = model.vertices(p.identity, rest, p.gaze, joints)
    vertices = model.vertices(p.identity, p.expression, p.gaze, joints)
    v, t, c, n, shapes, activations = (
        a.detach().cpu().numpy()
        for a in (vertices, model.triangles, colors, neutral, surface.expression, p.expression - rest)
    )
    atlas = model.atlas
    uv, uv_triangles = (
        (None, None) if atlas is None else (atlas.coordinates.cpu().double().numpy(), atlas.triangles.cpu().numpy())
    )
    return Mesh(
        v.astype(np.float64), t, uv, uv_triangles, c, n.astype(np.float64),
        shapes.astype(np.float64), model.expression_names, activations,
    )  # fmt: skip


def frame_facts(track: Track, frame: int, model: FaceModel) -> dict:
    """What the mesh alone doesn't say: landmarks on it and the camera of the original frame.

    ``landmarks.positions``: L x 3, mm, on the exported mesh; of iBUG's 68, of another scheme where the model lacks
    these, None where it has none. ``camera``: K (3 x 3, px), R (3 x 3), t (3, mm) with x_camera = R x_model + t in
    OpenCV's axes (x right, y down, z forward); a point is at pixel (u, v, 1) ~ K x_camera, where the centre of the top
    left pixel is (0.5, 0.5).
    """
    p = track.parameters.expanded()[frame].to(model.mean.device)
    rotation, translation = p.rotation.cpu().double(), p.translation.cpu().double()
    extrinsic, _ = opencv_extrinsics(rotation, translation)
    landmarks, schemes = None, sorted(model.embeddings, key=lambda scheme: (scheme != "ibug68", scheme))
    if schemes:
        vertices = model.vertices(p.identity, p.expression, p.gaze, p.joints if model.count("joints") else None)
        positions = model.landmarks(vertices, schemes[0]).detach().cpu().double()
        pixels = project(to_camera(positions, rotation, translation), track.camera)
        landmarks = {"scheme": schemes[0], "positions": positions.tolist(), "pixels": pixels.tolist()}
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
        "landmarks": landmarks,
    }


def normals_of(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals of vertices (V, 3)."""
    return vertex_normals(torch.from_numpy(vertices), torch.from_numpy(mesh.triangles)).numpy()


def png_bytes(texture: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 as a file's bytes."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(texture).save(buffer, "png")
    return buffer.getvalue()
