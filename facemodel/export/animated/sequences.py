"""A mesh a frame: .obj with one texture for all, or .ply, numbered from 1; and one .pc2 of all frames beside an .obj.

Millimetres in the model's frame, without the head's pose, which is in ``cameras.json`` (or ``<name>.cameras.json``) as
each frame's camera. Vertices are the model's, in its order. PC2 is 3ds Max's Point Cache 2: Blender's Mesh Cache reads
it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facemodel.export import obj, ply
from facemodel.export.animated.base import ANIMATED, AXES, CAMERA, Animated, Checked, Performance, each_frame
from facemodel.export.mesh import frame_mesh
from foundation.progress import Report

UNITS = {"units": "millimetres", "axes": AXES, "pose": "not in the mesh: cameras.json has each frame's camera"}
PC2 = struct.Struct("<12siiffi")  # signature, version, points, first frame, frames a sample, samples


def write_obj(clip: Performance, folder: Path, report: Report) -> Sequence[str]:
    """One .mtl and .png for all frames; what doesn't move is put together once."""
    mesh = frame_mesh(clip.track, 0, clip.model)
    parts = obj.Parts.of(mesh, clip.texture, clip.name)
    for path, data in parts.files(folder).items():
        path.write_bytes(data)
    for k, vertices in each_frame(clip, report):
        (folder / f"{clip.name}.{k + 1:06d}.obj").write_bytes(parts.with_vertices(vertices))
    write_cameras(clip, folder / "cameras.json")
    return ()


def write_ply(clip: Performance, folder: Path, report: Report) -> Sequence[str]:
    mesh = frame_mesh(clip.track, 0, clip.model)
    for k, vertices in each_frame(clip, report):
        path = folder / f"{clip.name}.{k + 1:06d}.ply"
        path.write_bytes(ply.files(replace(mesh, vertices=vertices), None, path, {})[path])
    write_cameras(clip, folder / "cameras.json")
    return ()


def write_pc2(clip: Performance, path: Path, report: Report) -> Sequence[str]:
    """The .obj beside it is the first frame's, with the same order of points."""
    mesh = frame_mesh(clip.track, 0, clip.model)
    parts = obj.Parts.of(mesh, clip.texture, path.stem)
    with open(path, "wb") as file:
        file.write(PC2.pack(b"POINTCACHE2\0", 1, len(mesh.vertices), 0.0, 1.0, len(clip.track)))
        for k, vertices in each_frame(clip, report):
            file.write(vertices.astype("<f4").tobytes())
            if not k:
                path.with_suffix(".obj").write_bytes(parts.with_vertices(vertices))
    for other, data in parts.files(path.parent).items():
        other.write_bytes(data)
    write_cameras(clip, path.with_name(path.stem + ".cameras.json"), UNITS)
    return ()


def write_cameras(clip: Performance, path: Path, more: dict | None = None) -> None:
    """Each frame's camera, from the mesh's own frame."""
    rotation, translation = clip.poses
    frames = [
        {"frame": k + 1, "time": time, "face": k not in gaps, "R": r.tolist(), "t": t.tolist()}
        for gaps in [set(clip.gaps)]
        for k, (time, r, t) in enumerate(zip(clip.seconds.tolist(), rotation, translation))
    ]
    table = {
        **(more or {}),
        "convention": CAMERA,
        "K": clip.camera.intrinsics().tolist(),
        "width": clip.camera.width,
        "height": clip.camera.height,
        **clip.facts(),
        "cameras": frames,
    }
    path.write_text(json.dumps(table, indent=1))


def compare(clip: Performance, found: object, cameras: Path, reader: str) -> Checked:
    """Vertices (V, 3) of every frame, from ``found``, against the clip's, and their pixels by the file's cameras."""
    table = json.loads(cameras.read_text())
    k, mm, px = np.array(table["K"]), 0.0, 0.0
    for n, (read, vertices, camera) in enumerate(zip(found, clip.vertices(), table["cameras"], strict=True)):
        mm = max(mm, float(np.linalg.norm(read - vertices, axis=-1).max()))
        image = (read @ np.array(camera["R"]).T + np.array(camera["t"])) @ k.T
        px = max(px, float(np.abs(image[:, :2] / image[:, 2:] - clip.pixels(vertices, n)).max()))
    return Checked(reader, mm, px, frames=len(clip.track))


def check_meshes(clip: Performance, folder: Path, suffix: str) -> Checked:
    import trimesh

    names = [folder / f"{clip.name}.{k + 1:06d}{suffix}" for k in range(len(clip.track))]
    meshes = (trimesh.load(p, force="mesh", process=False, maintain_order=True) for p in names)
    return compare(clip, (np.asarray(m.vertices) for m in meshes), folder / "cameras.json", "trimesh")


def check_pc2(clip: Performance, path: Path) -> Checked:
    with open(path, "rb") as file:
        _, _, points, _, _, samples = PC2.unpack(file.read(PC2.size))
    cache = np.memmap(path, "<f4", "r", PC2.size, (samples, points, 3))
    return compare(clip, iter(cache), path.with_name(path.stem + ".cameras.json"), "numpy")


ANIMATED.add("obj", Animated("a sequence of .obj", write_obj, lambda c, p: check_meshes(c, p, ".obj"), (".obj",), UNITS,
                             textured=True))  # fmt: skip
ANIMATED.add(
    "ply", Animated("a sequence of .ply", write_ply, lambda c, p: check_meshes(c, p, ".ply"), (".ply",), UNITS)
)
ANIMATED.add("pc2", Animated("a point cache (.pc2) and its .obj", write_pc2, check_pc2, (".pc2",), textured=True))
