"""An animated .glb: morph weights, the head's pose, eyes that turn, the clip's camera.

One mesh "face" is skinned to the joints "head", "leftEye", "rightEye" (and a model's own neck and jaw). The scene is in
metres before a camera at the origin, which looks along -z with y up, as glTF has it: the joint "head" moves, and scales
the mesh's millimetres. The camera's principal point and size, for which glTF has no place, are in its node's extras.
Spec: Khronos, "glTF 2.0".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from facemodel.export.animated.base import ANIMATED, Animated, Checked, Performance
from facemodel.export.animated.rig import Rig, rig_of
from facemodel.export.gltf import BYTE, METRES, VERTICES, Buffer, GltfSurface, add_surface, pack_glb
from facemodel.export.gltf_reading import Gltf
from foundation.progress import Report
from geometry.rotation import axis_angle

FACE, HEAD, NEAR = 0, 1, 0.01  # nodes; metres
UNITS = {
    "units": "metres; the joint 'head' scales the mesh, which is in millimetres",
    "axes": "x to the subject's left in the mesh; y up; the camera is at the origin and looks along -z",
}


def write(clip: Performance, path: Path, report: Report) -> Sequence[str]:
    rig = rig_of(clip)
    path.write_bytes(animated_glb(rig, clip))
    return ()


def animated_glb(rig: Rig, clip: Performance) -> bytes:
    """The file's bytes."""
    b, surface = Buffer(), GltfSurface.of(rig.mesh, clip.texture, clip.unlit)
    table = add_surface(b, surface, rig.weights[0], skin_attributes(b, rig.skin[surface.source]))
    first = HEAD  # of the joints' nodes
    nodes: list[dict] = [{"name": "face", "mesh": 0, "skin": 0}]
    inverse = np.tile(np.eye(4), (len(rig.joints), 1, 1))
    inverse[:, :3, 3] = -rig.bind
    for k, name in enumerate(rig.joints):
        children = [first + c for c, parent in enumerate(rig.parents) if parent == k]
        nodes.append({"name": name} | ({"children": children} if children else {}))
    nodes[HEAD]["scale"] = [METRES] * 3
    skin = {"inverseBindMatrices": b.accessor(inverse), "joints": [first + k for k in range(len(rig.joints))]}
    nodes.append({"name": "camera", "camera": 0, "extras": camera_facts(clip)})
    animation = animate(b, rig, clip.seconds, nodes, first)
    yfov = 2 * math.atan(clip.camera.height / (2 * clip.camera.focal))
    perspective = {"yfov": yfov, "aspectRatio": clip.camera.width / clip.camera.height, "znear": NEAR}
    scene = {
        "scene": 0,
        "scenes": [{"nodes": [FACE, HEAD, len(nodes) - 1]}],
        "nodes": nodes,
        "skins": [skin],
        "cameras": [{"name": "camera", "type": "perspective", "perspective": perspective}],
        "animations": [animation],
    }
    return pack_glb(scene | table, b, UNITS | clip.facts())


def skin_attributes(b: Buffer, skin: np.ndarray) -> dict[str, int]:
    """JOINTS_n, WEIGHTS_n of weights (V, J): each vertex's strongest, four a set."""
    sets = math.ceil(max(1, int((skin > 0).sum(-1).max())) / 4)
    order = np.argsort(-skin, -1, kind="stable")[:, : 4 * sets]
    weights = np.take_along_axis(skin, order, -1)
    short = 4 * sets - order.shape[1]
    order, weights = (np.pad(a, ((0, 0), (0, max(0, short)))) for a in (order, weights))
    order[weights == 0] = 0
    weights /= weights.sum(-1, keepdims=True)
    found = {}
    for k in range(sets):
        part = slice(4 * k, 4 * k + 4)
        found[f"JOINTS_{k}"] = b.accessor(order[:, part], BYTE, use=VERTICES)
        found[f"WEIGHTS_{k}"] = b.accessor(weights[:, part], use=VERTICES)
    return found


def animate(b: Buffer, rig: Rig, seconds: np.ndarray, nodes: list[dict], first: int) -> dict:
    """Channels of what moves; what rests is its node's own."""
    times, samplers, channels = b.accessor(seconds, bounds=True), [], []

    def channel(node: int, path: str, output: int) -> None:
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})

    if rig.weights.shape[1]:
        channel(FACE, "weights", b.accessor(rig.weights.reshape(-1)))
    for k in range(len(rig.joints)):
        translation = rig.translations[:, k] * (1 if k else METRES)
        values = {"translation": translation, "rotation": quaternions(rig.rotations[:, k])}
        for path, value in values.items():
            nodes[first + k][path] = [float(np.float32(v)) for v in value[0]]
            if np.ptp(value, 0).max() > 0 or not k:
                channel(first + k, path, b.accessor(value))
    return {"name": "performance", "samplers": samplers, "channels": channels}


def quaternions(matrices: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) as unit quaternions (F, 4), x y z w, each on the side of the one before."""
    turn = axis_angle(torch.from_numpy(np.ascontiguousarray(matrices))).numpy()
    half = np.linalg.norm(turn, axis=-1, keepdims=True) / 2
    found = np.concatenate([turn / 2 * np.sinc(half / np.pi), np.cos(half)], -1)
    flips = np.sign((found[1:] * found[:-1]).sum(-1))
    found[1:] *= np.cumprod(np.where(flips < 0, -1, 1))[:, None]
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def camera_facts(clip: Performance) -> dict:
    """The camera in pixels, as other programs' trackers have it."""
    c = clip.camera
    cx, cy = c.principal_point
    return {"fx": c.focal, "fy": c.focal, "cx": cx, "cy": cy, "width": c.width, "height": c.height}


def check(clip: Performance, path: Path) -> Checked:
    """Every frame's vertices before the camera, by the file's own nodes, and its pixels by the camera's extras."""
    file, mm, px = Gltf(path.read_bytes()), 0.0, 0.0
    source = GltfSurface.of(rig_of(clip).mesh, clip.texture).source
    camera = file.node("camera")["extras"]
    rotation, translation = clip.poses
    for k, vertices in enumerate(clip.vertices()):
        found = 1000 * file.skinned(k) * (1, -1, -1)  # OpenCV's axes
        wanted = (vertices @ rotation[k].T + translation[k])[source]
        mm = max(mm, float(np.linalg.norm(found - wanted, axis=-1).max()))
        u = camera["fx"] * found[:, 0] / found[:, 2] + camera["cx"]
        v = camera["fy"] * found[:, 1] / found[:, 2] + camera["cy"]
        px = max(px, float(np.abs(np.stack([u, v], -1) - clip.pixels(vertices, k)[source]).max()))
    return Checked("facemodel.export.gltf_reading", mm, px, frames=len(clip.track))


ANIMATED.add("glb", Animated("animated .glb", write, check, (".glb",), textured=True))
