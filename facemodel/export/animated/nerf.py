"""Data sets of posed pictures: nerfstudio's and instant-ngp's ``transforms.json``, COLMAP's text files.

The head rests and the camera moves around it: each frame with a face is a picture, with the model's mask and a camera.
World: metres, z up, the face towards -y, the origin between the ears. Masks are of the model, which has no hair.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facemodel.export.animated.base import ANIMATED, Animated, Checked, Performance
from facemodel.export.animated.glb import quaternions
from facemodel.export.animated.pictures import METRES, check_pictures, pictures_of, save, whole
from facemodel.export.mesh import frame_mesh
from foundation.progress import Report

WORLD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from the model's axes
GL = np.diag([1.0, -1, -1])  # from OpenCV's camera axes
UNITS = {
    "units": "metres",
    "axes": "x to the subject's left, z up, the face looks along -y; the origin is between the ears",
    "masks": "of the model, which has no hair",
}


def world_cameras(clip: Performance) -> tuple[np.ndarray, np.ndarray]:
    """R (F, 3, 3) and t (F, 3) metres of every frame, with x_camera = R x_world + t in OpenCV's axes."""
    rotation, translation = clip.poses
    return rotation @ WORLD.T, METRES * translation


def camera_to_world(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(4, 4) in OpenGL's camera axes (x right, y up, looking along -z), of one camera."""
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation.T @ GL, -rotation.T @ translation
    return made


def write_points(clip: Performance, path: Path) -> None:
    """The head at rest in the world, coloured: where Gaussians may begin."""
    import trimesh

    mesh = frame_mesh(clip.track, clip.faces[0], clip.model)
    points = METRES * mesh.neutral @ WORLD.T
    data = trimesh.Trimesh(points, mesh.triangles, vertex_colors=mesh.colors, process=False).export(file_type="ply")
    path.write_bytes(data)


def intrinsics(clip: Performance) -> dict:
    """As both kinds of ``transforms.json`` name them: px, centre of the top left pixel at (0.5, 0.5)."""
    c, (cx, cy) = clip.camera, clip.camera.principal_point
    width, height = c.width, c.height
    angles = {f"camera_angle_{n}": float(2 * np.arctan(s / (2 * c.focal))) for n, s in (("x", width), ("y", height))}
    lens = {name: 0.0 for name in ("k1", "k2", "p1", "p2")}
    return angles | {"fl_x": c.focal, "fl_y": c.focal, "cx": cx, "cy": cy, "w": width, "h": height} | lens


def write_transforms(clip: Performance, folder: Path, report: Report, ngp: bool) -> Sequence[str]:
    """instant-ngp's pictures have the mask as their alpha, nerfstudio's in files of their own."""
    rotation, translation = world_cameras(clip)
    frames = []
    for k, picture in pictures_of(clip, whole(clip), report):
        frame = {"file_path": f"images/frame_{k + 1:05d}.png"}
        if ngp:
            save(folder / frame["file_path"], np.dstack([picture.image, picture.mask]))
        else:
            frame["mask_path"] = f"masks/frame_{k + 1:05d}.png"
            save(folder / frame["file_path"], picture.image)
            save(folder / frame["mask_path"], picture.mask)
        frame["transform_matrix"] = camera_to_world(rotation[k], translation[k]).tolist()
        frames.append(frame | {"frame": k + 1, "time": float(clip.seconds[k])})
    # The head's 0.3 m fill instant-ngp's unit cube; its own scale of 0.33 is for scenes of 3 m.
    special = {"scale": 3.0, "offset": [0.5, 0.5, 0.5], "aabb_scale": 1}
    special = special if ngp else {"camera_model": "OPENCV", "ply_file_path": "sparse_pc.ply"}
    table = special | intrinsics(clip) | {"units": UNITS["units"], "axes": UNITS["axes"], "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(table, indent=1))
    write_points(clip, folder / "sparse_pc.ply")
    return ()


def write_colmap(clip: Performance, folder: Path, report: Report) -> Sequence[str]:
    """``sparse/0/{cameras,images,points3D}.txt``, ``images/``, ``masks/`` with names as COLMAP wants them."""
    c, (cx, cy) = clip.camera, clip.camera.principal_point
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True)
    head = "# metres; z up, the face looks along -y\n"
    (sparse / "cameras.txt").write_text(f"{head}1 PINHOLE {c.width} {c.height} {c.focal!r} {c.focal!r} {cx!r} {cy!r}\n")
    rotation, translation = world_cameras(clip)
    turns, lines = quaternions(rotation), []
    for k, picture in pictures_of(clip, whole(clip), report):
        name = f"frame_{k + 1:05d}.png"
        save(folder / "images" / name, picture.image)
        save(folder / "masks" / f"{name}.png", picture.mask)
        x, y, z, w = turns[k].tolist()
        place = " ".join(repr(v) for v in (w, x, y, z, *translation[k].tolist()))
        lines.append(f"{k + 1} {place} 1 {name}\n\n")
    (sparse / "images.txt").write_text(head + "".join(lines))
    mesh = frame_mesh(clip.track, clip.faces[0], clip.model)
    points = METRES * mesh.neutral @ WORLD.T
    rows = (
        f"{n + 1} {x:.7f} {y:.7f} {z:.7f} {r} {g} {b} 0\n"
        for n, ((x, y, z), (r, g, b)) in enumerate(zip(points, mesh.colors))
    )
    (sparse / "points3D.txt").write_text(head + "".join(rows))
    return ()


def compare(clip: Performance, cameras: Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> Checked:
    """Cameras (frame, K, R, t) of OpenCV's, metres, projecting the clip's mesh by OpenCV, against its own pixels.

    mm: how far a camera's frame is from where the clip has it, at the mesh.
    """
    import cv2

    mm = px = 0.0
    count, (rotations, translations) = 0, clip.poses
    for k, intrinsic, rotation, translation in cameras:
        mesh = next(clip.vertices([k]))
        world = METRES * mesh @ WORLD.T
        pixels, _ = cv2.projectPoints(world, cv2.Rodrigues(rotation)[0], translation, intrinsic, None)
        px = max(px, float(np.abs(pixels[:, 0] - clip.pixels(mesh, k)).max()))
        placed = (world @ rotation.T + translation) / METRES - (mesh @ rotations[k].T + translations[k])
        mm = max(mm, float(np.linalg.norm(placed, axis=-1).max()))
        count += 1
    return Checked("OpenCV (projectPoints)", mm, px, frames=count)


def check_transforms(clip: Performance, folder: Path) -> Checked:
    table = json.loads((folder / "transforms.json").read_text())
    frames = table["frames"]
    check_pictures(folder, [f[n] for f in frames for n in ("file_path", "mask_path") if n in f], whole(clip))
    k = np.array([[table["fl_x"], 0, table["cx"]], [0, table["fl_y"], table["cy"]], [0, 0, 1]])

    def cameras():
        for frame in frames:
            world = np.linalg.inv(np.array(frame["transform_matrix"]) @ np.diag([1, -1, -1, 1.0]))
            yield frame["frame"] - 1, k, world[:3, :3], world[:3, 3]

    return compare(clip, cameras())


def check_colmap(clip: Performance, folder: Path) -> Checked:
    from scipy.spatial.transform import Rotation

    lines = [n for n in (folder / "sparse/0/cameras.txt").read_text().splitlines() if not n.startswith("#")]
    fx, fy, cx, cy = map(float, lines[0].split()[4:])
    images = [n for n in (folder / "sparse/0/images.txt").read_text().splitlines() if not n.startswith("#")][::2]
    names = [line.split()[9] for line in images]
    check_pictures(folder, [f"{d}/{n}{e}" for n in names for d, e in (("images", ""), ("masks", ".png"))], whole(clip))

    def cameras():
        for line in images:
            number, w, x, y, z, *t = line.split()[:8]
            rotation = Rotation.from_quat([float(v) for v in (x, y, z, w)]).as_matrix()
            yield int(number) - 1, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), rotation, np.array(t, float)

    return compare(clip, cameras())


for _name, _ngp in (("nerfstudio", False), ("instant-ngp", True)):
    ANIMATED.add(_name, Animated(
        f"a data set of {_name}", lambda clip, folder, report, ngp=_ngp: write_transforms(clip, folder, report, ngp),
        check_transforms, folder=UNITS, pictures=True,
    ))  # fmt: skip
ANIMATED.add("colmap", Animated("COLMAP's text files", write_colmap, check_colmap, folder=UNITS, pictures=True))
