"""What INSTA and FlashAvatar read: square pictures, masks, and FLAME or meshes a frame.

``metrical-tracker``: its ``checkpoint/*.frame``, torch's files of plain tensors. ``insta``: ``transforms.json`` with a
mesh and an expression a frame, of any model. Pictures are square, about the principal point: readers disagree about the
order of width and height, and some take the point for the middle. The head rests, and the camera moves around it;
metres, the model's axes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from facemodel.export.animated.avatars import STILL, compare, flame_of
from facemodel.export.animated.base import ANIMATED, AXES, Animated, Checked, Performance
from facemodel.export.animated.pictures import METRES, check_pictures, pictures_of, save, square
from facemodel.export.mesh import frame_mesh
from facemodel.export.obj import Parts
from facemodel.flame_parameters import EXPRESSION, is_flame, six, to_flame
from facemodel.formats.trackers.metrical import read as read_frames
from facemodel.parameters import FaceParameters
from foundation.progress import Report
from geometry.rotation import axis_angle, rotation_matrix

TESTED, TRIED = 350, 20  # frames: INSTA's last ones are its test, the last of the others are tried while it learns
SHARE = 0.3  # of the frames, at most, that are tested
JAW = math.radians(12)  # of the canonical face
OPEN = 0.4  # of jawOpen, where a model has no jaw
PYTORCH3D = np.array([-1.0, -1, 1])  # x left, y up, z forward, of OpenCV's axes
UNITS = {
    "units": "metres, radians",
    "axes": AXES,
    "masks": "mattes of the person, with hair and clothes, and the model's silhouette",
}


def folded(clip: Performance) -> FaceParameters:
    """The neck's turn as the head's, for formats without a neck: exact for all that hangs from the neck alone."""
    p = clip.parameters
    neck = p.joints[:, :3].double()
    turn, bend = rotation_matrix(p.rotation.double()), rotation_matrix(neck)
    with torch.inference_mode():
        at = clip.model.rest_joints(p.identity, p.expression)[:, 1].double()
    shift = torch.einsum("fab,fb->fa", turn, at - torch.einsum("fab,fb->fa", bend, at))
    flip = torch.tensor([1.0, -1, -1], dtype=torch.float64)
    joints = torch.cat([torch.zeros_like(p.joints[:, :3]), p.joints[:, 3:]], 1)
    rotation = axis_angle(turn @ bend).to(p.rotation)
    return p.replace(rotation=rotation, translation=(p.translation.double() + flip * shift).float(), joints=joints)


def write_frames(clip: Performance, folder: Path, report: Report) -> Sequence[str]:
    flame_of(clip, "metrical-tracker's .frame")
    p, window = folded(clip), square(clip)
    flame, camera = to_flame(p, clip.model), window.of(clip.camera)
    rotation = np.diag([1.0, -1, -1]) @ rotation_matrix(p.rotation.double()).cpu().numpy()
    translation = METRES * p.translation.cpu().double().numpy()
    (folder / "checkpoint").mkdir()
    tensor = lambda values: torch.tensor(np.asarray(values), dtype=torch.float32)[None]  # noqa: E731
    half = camera.width / 2
    k = [[camera.focal, 0, camera.principal_point[0]], [0, camera.focal, camera.principal_point[1]], [0, 0, 1]]
    off = [-(c - half) / half for c in camera.principal_point]
    for n, picture in pictures_of(clip, window, report, matte=True):
        name = f"{n:05d}"
        save(folder / "images" / f"{name}.png", picture.image)
        save(folder / "masks" / f"{name}.png", picture.mask)
        frame = {
            "flame": {
                "exp": tensor(flame.expression[n]), "shape": tensor(flame.shape), "tex": torch.zeros(1, 140),
                "sh": torch.zeros(1, 9, 3), "eyes": tensor(six(flame.eyes[n].reshape(2, 3)).ravel()),
                "eyelids": tensor(flame.lids[n]), "jaw": tensor(six(flame.jaw[n])),
            },
            "camera": {
                "R": tensor((PYTORCH3D[:, None] * rotation[n]).T), "t": tensor(PYTORCH3D * translation[n]),
                "fl": tensor([camera.focal / half]), "pp": tensor(off),
            },
            "opencv": {"R": tensor(rotation[n]), "t": tensor(translation[n]), "K": tensor(k)},
            "img_size": torch.tensor([camera.width, camera.height]),
            "frame_id": name,
            "global_step": n,
        }  # fmt: skip
        torch.save(frame, folder / "checkpoint" / f"{name}.frame")
    bent = float(clip.parameters.joints[:, :3].abs().max())
    return [f"the neck's turn, up to {bent:.2f} radians, is kept as the head's"] if bent > STILL else ()


def check_frames(clip: Performance, folder: Path) -> Checked:
    """Read by this project's import of metrical-tracker, against the clip with its neck in the head's pose."""
    window = square(clip)
    names = [f"{d}/{k:05d}.png" for k in clip.faces for d in ("images", "masks")]
    check_pictures(folder, names, window)
    seen = read_frames(folder, clip.model)
    return compare(clip, clip.faces, seen.flame, seen.focal, window, lids=True, mine=folded(clip))


def write_insta(clip: Performance, folder: Path, report: Report) -> Sequence[str]:
    """Depths are millimetres as 16 bits; meshes and their camera are in metres."""
    window = square(clip)
    camera, (rotation, translation) = window.of(clip.camera), clip.poses
    mesh = frame_mesh(clip.track, clip.faces[0], clip.model)
    parts = Parts.of(mesh, None, clip.name, unit="metres")
    for name in ("meshes", "flame/exp"):
        (folder / name).mkdir(parents=True)
    frames, vertices = [], clip.vertices(clip.faces)
    expression = clip.parameters.expression.cpu().double().numpy()
    expression = expression[:, :EXPRESSION] if is_flame(clip.model) else expression
    for (k, picture), shown in zip(pictures_of(clip, window, report, matte=True), vertices):
        name = f"{k:05d}"
        places = {"file_path": f"images/{name}.png", "seg_mask_path": f"seg_mask/{name}.png",
                  "depth_path": f"depth/{name}.png", "mesh_path": f"meshes/{name}.obj",
                  "exp_path": f"flame/exp/{name}.txt"}  # fmt: skip
        save(folder / places["file_path"], picture.image)
        save(folder / places["seg_mask_path"], picture.mask)
        save(folder / places["depth_path"], picture.depth)
        (folder / places["mesh_path"]).write_bytes(parts.with_vertices(METRES * shown, digits=8))
        np.savetxt(folder / places["exp_path"], expression[k])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation[k].T, -METRES * rotation[k].T @ translation[k]
        frames.append({"transform_matrix": pose.tolist(), **places})
    (folder / "canonical.obj").write_bytes(parts.with_vertices(METRES * canonical(clip), digits=8))
    angle = 2 * math.atan(camera.width / (2 * camera.focal))
    cx, cy = camera.principal_point
    table = {
        "cx": cx, "cy": cy, "fl_x": camera.focal, "fl_y": camera.focal, "w": camera.width, "h": camera.height,
        "camera_angle_x": angle, "camera_angle_y": angle, "x_fov": math.degrees(angle), "y_fov": math.degrees(angle),
        "integer_depth_scale": 0.001,
    }  # fmt: skip
    tested = min(TESTED, int(SHARE * len(frames)))
    train = frames[: len(frames) - tested]
    splits = {"": frames, "_train": train, "_test": frames[len(train) :], "_val": train[-TRIED:]}
    for end, part in splits.items():
        (folder / f"transforms{end}.json").write_text(json.dumps(table | {"frames": part}, indent=1))
    if not is_flame(clip.model):
        return [f"exp_path has the {expression.shape[1]} expressions of '{clip.model.name}', not FLAME's 100"]
    return ()


def canonical(clip: Performance) -> np.ndarray:
    """(V, 3) mm of the person with an open mouth."""
    model, p = clip.model, clip.parameters
    rest = model.blocks["expression"].mean.clone()
    joints = torch.zeros(model.count("joints")) if model.count("joints") else None
    if is_flame(model):
        joints[3] = JAW
    elif "jawOpen" in model.arkit:
        rest[model.arkit["jawOpen"]] = OPEN
    with torch.inference_mode():
        return model.vertices(p.identity[0], rest, None, joints).cpu().double().numpy()


def check_insta(clip: Performance, folder: Path) -> Checked:
    """Meshes by trimesh, before the file's cameras."""
    import trimesh

    table, window = json.loads((folder / "transforms.json").read_text()), square(clip)
    names = ("file_path", "seg_mask_path", "depth_path")
    check_pictures(folder, [f[n] for f in table["frames"] for n in names], window)
    camera, mm, px = window.of(clip.camera), 0.0, 0.0
    for k, frame in zip(clip.faces, table["frames"], strict=True):
        mesh = trimesh.load(folder / frame["mesh_path"], force="mesh", process=False, maintain_order=True)
        vertices, world = next(clip.vertices([k])), np.linalg.inv(np.array(frame["transform_matrix"]))
        found = np.asarray(mesh.vertices)
        mm = max(mm, float(np.linalg.norm(found / METRES - vertices, axis=-1).max()))
        x, y, z = (found @ world[:3, :3].T + world[:3, 3]).T
        pixels = np.stack([table["fl_x"] * x / z + table["cx"], table["fl_y"] * y / z + table["cy"]], -1)
        px = max(px, float(np.abs(pixels - clip.pixels(vertices, k, camera)).max()))
    return Checked("trimesh", mm, px, frames=len(table["frames"]))


ANIMATED.add("insta", Animated("INSTA's data set", write_insta, check_insta, folder=UNITS, pictures=True))
ANIMATED.add("metrical-tracker", Animated("metrical-tracker's frames", write_frames, check_frames, folder=UNITS,
                                          pictures=True))  # fmt: skip
