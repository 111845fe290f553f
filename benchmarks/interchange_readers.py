"""Readers that this project didn't write, for every format it writes: what each makes of a file, against the clip.

`benchmarks.interchange` calls them. A reader is a function of the clip and the path, and gives a `Checked`; `Absent`
says what isn't installed. Where a format is nothing but tables, the reader is the library that parses them, and OpenCV
or PyTorch3D projects; FLAME's coefficients are evaluated by its authors' formula in numpy.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.model_files import Evaluation
from facemodel.editing.curves import curve_columns
from facemodel.editing.openface import openface_table
from facemodel.export.animated.base import ANIMATED, Checked, Performance
from facemodel.export.animated.insta import folded
from facemodel.export.animated.pictures import square
from facemodel.export.gltf import GltfSurface
from facemodel.export.mesh import frame_mesh

HERE = Path(__file__).parent
WORLD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # of data sets, from the model's axes
GL = np.array([1.0, -1, -1])


class Absent(Exception):
    """What isn't installed here."""


class Worst:
    """The largest distances so far."""

    def __init__(self) -> None:
        self.mm = self.px = 0.0
        self.frames = 0

    def add(self, seen: np.ndarray, wanted: np.ndarray, pixels: np.ndarray | None, ours: np.ndarray) -> None:
        """Points (V, 3) mm, pixels (V, 2)."""
        self.mm = max(self.mm, float(np.linalg.norm(seen - wanted, axis=-1).max()))
        if pixels is not None:
            self.px = max(self.px, float(np.abs(pixels - ours).max()))
        self.frames += 1

    def of(self, reader: str) -> Checked:
        return Checked(reader, self.mm, self.px, frames=self.frames)


def before_camera(clip: Performance, frame: int, vertices: np.ndarray) -> np.ndarray:
    """(V, 3) mm, OpenCV's axes."""
    rotation, translation = clip.poses
    return vertices @ rotation[frame].T + translation[frame]


def node_modules() -> Path:
    """Where npm put gltf-validator and three: $NODE_MODULES, or beside this repository's files."""
    places = [Path(p) for p in (os.environ.get("NODE_MODULES"), HERE.parent / "node_modules") if p]
    found = next((p for p in places if all((p / n).is_dir() for n in ("gltf-validator", "three"))), None)
    if shutil.which("node") is None or found is None:
        raise Absent("node with gltf-validator and three: npm install gltf-validator three")
    return found


def three(clip: Performance, path: Path) -> Checked:
    """three.js plays it; gltf-validator must have nothing to say."""
    times = [repr(float(t)) for t in clip.seconds]
    command = ["node", HERE / "gltf.mjs", node_modules(), path, *times]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if found["issues"]["numErrors"] or found["issues"]["numWarnings"]:
        raise ValueError(f"gltf-validator: {found['issues']['messages'][:3]}")
    source, worst = GltfSurface.of(frame_mesh(clip.track, 0, clip.model), clip.texture).source, Worst()
    camera = clip.camera
    for k, (flat, vertices) in enumerate(zip(found["vertices"], clip.vertices())):
        seen = 1000 * np.reshape(flat, (-1, 3)) * GL
        pixels = camera.focal * seen[:, :2] / seen[:, 2:] + (camera.width / 2, camera.height / 2)
        worst.add(seen, before_camera(clip, k, vertices)[source], pixels, clip.pixels(vertices, k)[source])
    return worst.of(f"three.js r{found['three']}, gltf-validator {found['validator']}")


def blender(clip: Performance, path: Path) -> Checked:
    """Blender's Mesh Cache plays a .pc2 on the .obj beside it."""
    if importlib.util.find_spec("bpy") is None:
        raise Absent("Blender as a module: pip install bpy")
    out = path.with_suffix(".npy")
    command = [sys.executable, HERE / "blender_cache.py", path, out]
    subprocess.run(command, check=True, capture_output=True, cwd=path.parent)
    table, worst = json.loads(path.with_name(path.stem + ".cameras.json").read_text()), Worst()
    k = np.array(table["K"])
    for n, (seen, vertices, camera) in enumerate(zip(np.load(out), clip.vertices(), table["cameras"], strict=True)):
        image = (seen @ np.array(camera["R"]).T + np.array(camera["t"])) @ k.T
        worst.add(seen, vertices, image[:, :2] / image[:, 2:], clip.pixels(vertices, n))
    return worst.of("Blender (Mesh Cache)")


def ply(clip: Performance, path: Path) -> Checked:
    """PyTorch3D reads each, for trimesh wrote them."""
    from pytorch3d.io import load_ply

    table, worst = json.loads((path / "cameras.json").read_text()), Worst()
    k = np.array(table["K"])
    for n, (vertices, camera) in enumerate(zip(clip.vertices(), table["cameras"], strict=True)):
        seen = load_ply(str(path / f"{clip.name}.{n + 1:06d}.ply"))[0].double().numpy()
        image = (seen @ np.array(camera["R"]).T + np.array(camera["t"])) @ k.T
        worst.add(seen, vertices, image[:, :2] / image[:, 2:], clip.pixels(vertices, n))
    return worst.of("PyTorch3D (load_ply)")


Posed = Iterable[tuple[int, np.ndarray, np.ndarray, np.ndarray]]
"""Of each picture: the track's frame, K, R and t in metres with x_camera = R x_world + t, OpenCV's axes."""


def by_opencv(clip: Performance, cameras: Posed, reader: str) -> Checked:
    """The clip's vertices in the data set's world, projected by `cv2.projectPoints`."""
    worst = Worst()
    for k, intrinsic, rotation, translation in cameras:
        vertices = next(clip.vertices([k]))
        world = 0.001 * vertices @ WORLD.T
        pixels, _ = cv2.projectPoints(world, cv2.Rodrigues(rotation)[0], translation, intrinsic, None)
        seen = 1000 * (world @ rotation.T + translation)
        worst.add(seen, before_camera(clip, k, vertices), pixels[:, 0], clip.pixels(vertices, k))
    return worst.of(reader)


def transforms(clip: Performance, path: Path) -> Checked:
    """As nerfstudio's and instant-ngp's readers do: camera to world in OpenGL's axes; pictures by OpenCV."""
    table = json.loads((path / "transforms.json").read_text())
    k = np.array([[table["fl_x"], 0, table["cx"]], [0, table["fl_y"], table["cy"]], [0, 0, 1]])

    def cameras() -> Posed:
        for frame in table["frames"]:
            picture = cv2.imread(str(path / frame["file_path"]), cv2.IMREAD_UNCHANGED)
            mask = cv2.imread(str(path / frame["mask_path"]), 0) if "mask_path" in frame else picture[..., 3]
            if picture.shape[:2] != mask.shape or mask.shape != (table["h"], table["w"]):
                raise ValueError(f"{frame['file_path']}: pictures of another size than the camera's")
            pose = np.array(frame["transform_matrix"]) * [1, -1, -1, 1]
            world = np.linalg.inv(pose)
            yield frame["frame"] - 1, k, world[:3, :3], world[:3, 3]

    return by_opencv(clip, cameras(), "OpenCV (imread, projectPoints)")


def colmap(clip: Performance, path: Path) -> Checked:
    """pycolmap reads the model, where it's installed; else the text, by the order of its columns."""
    if importlib.util.find_spec("pycolmap") is None:
        found = ANIMATED["colmap"].check(clip, path)
        return Checked(found.reader, found.mm, found.px, frames=found.frames)
    import pycolmap

    model = pycolmap.Reconstruction(str(path / "sparse" / "0"))
    if len(model.points3D) != len(clip.model.mean):
        raise ValueError(f"{len(model.points3D)} points")

    def cameras() -> Posed:
        for image in model.images.values():
            pose = image.cam_from_world
            pose = (pose() if callable(pose) else pose).matrix()
            yield image.image_id - 1, image.camera.calibration_matrix(), pose[:, :3].copy(), pose[:, 3].copy()

    return by_opencv(clip, cameras(), f"pycolmap {pycolmap.__version__}")


def vhap(clip: Performance, path: Path, evaluate: Evaluation) -> Checked:
    """GaussianAvatars' way: only camera_angle_x counts; vertices by FLAME's authors' formula."""
    table, worst = json.loads((path / "transforms.json").read_text()), Worst()
    for frame in table["frames"]:
        with np.load(path / frame["flame_param_path"]) as file:
            a = {n: file[n].astype(float) for n in file.files if file[n].dtype == np.float32}
        k = frame["timestep_index_original"]
        seen = flame_vertices(clip, a, evaluate)
        seen = 1000 * (seen - np.array(frame["transform_matrix"])[:3, 3]) * GL
        focal = frame["w"] / (2 * np.tan(frame["camera_angle_x"] / 2))
        pixels = focal * seen[:, :2] / seen[:, 2:] + (frame["w"] / 2, frame["h"] / 2)
        vertices = next(clip.vertices([k]))
        worst.add(seen, before_camera(clip, k, vertices), pixels, clip.pixels(vertices, k))
    return worst.of("numpy (load), FLAME's formula")


def eye_gaze(eyes: np.ndarray) -> np.ndarray:
    """(2, 2) yaw and pitch of two eyes' axis-angle (6,)."""
    forward = np.stack([cv2.Rodrigues(e)[0][:, 2] for e in eyes.reshape(2, 3)])
    return np.stack([np.arctan2(forward[:, 0], forward[:, 2]), np.arcsin(forward[:, 1])], -1)


def flame_vertices(clip: Performance, a: dict[str, np.ndarray], evaluate: Evaluation) -> np.ndarray:
    """(V, 3) metres of VHAP's arrays of one frame: the formula, then the root's rotation about its joint."""
    joints = np.concatenate([a["neck_pose"][0], a["jaw_pose"][0]])
    expression = np.zeros(clip.model.count("expression"))
    expression[:100] = a["expr"][0]
    still = evaluate(a["shape"], expression, joints, eye_gaze(a["eyes_pose"][0])) / 1000
    shape, shown = (torch.from_numpy(v).float() for v in (a["shape"], expression))
    root = clip.model.rest_joints(shape, shown)[0].double().numpy() / 1000
    return (still - root) @ cv2.Rodrigues(a["rotation"][0])[0].T + root + a["translation"][0]


def metrical(clip: Performance, path: Path, evaluate: Evaluation) -> Checked:
    """torch reads it, FLAME's formula makes the mesh, PyTorch3D's camera projects: as in metrical-tracker."""
    from pytorch3d.renderer.cameras import PerspectiveCameras
    from pytorch3d.transforms import rotation_6d_to_matrix

    p, window, worst = folded(clip), square(clip), Worst()
    shape = clip.track.with_parameters(p)
    bent = Performance(shape, clip.model)
    camera = window.of(clip.camera)
    for k in clip.faces:
        frame = torch.load(path / "checkpoint" / f"{k:05d}.frame", weights_only=True)
        flame, cv, theirs = frame["flame"], frame["opencv"], frame["camera"]
        turn = lambda six: cv2.Rodrigues(rotation_6d_to_matrix(six).double().numpy())[0].ravel()  # noqa: E731
        expression = torch.cat([flame["exp"], flame["eyelids"]], 1)[0, : clip.model.count("expression")]
        eyes = np.concatenate([turn(e) for e in flame["eyes"][0].reshape(2, 6)])
        joints = np.concatenate([np.zeros(3), turn(flame["jaw"][0])])
        values = (flame["shape"][0].double().numpy(), expression.double().numpy(), joints, eye_gaze(eyes))
        mesh = torch.from_numpy(evaluate(*values) / 1000)
        seen = 1000 * (mesh @ cv["R"][0].double().T + cv["t"][0].double()).numpy()
        size = tuple(frame["img_size"].tolist())
        view = PerspectiveCameras(
            R=theirs["R"], T=theirs["t"], focal_length=theirs["fl"], principal_point=theirs["pp"], image_size=(size,)
        )  # fmt: skip
        pixels = view.transform_points_screen(mesh.float()[None], image_size=(size,))[0, :, :2].numpy()
        vertices = next(bent.vertices([k]))
        worst.add(seen, before_camera(bent, k, vertices), pixels, bent.pixels(vertices, k, camera))
    return worst.of("torch (load), FLAME's formula, PyTorch3D's camera")


def table(path: Path) -> dict[str, np.ndarray]:
    """Columns of numbers by name."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {n: np.array([float(r[n]) for r in rows]) for n in rows[0] if n != "Timecode"}


def arkit(clip: Performance, path: Path) -> Checked:
    found, wanted = table(path), curve_columns(clip.track, clip.model)
    found |= {n[0].lower() + n[1:]: v for n, v in found.items()}  # the app begins with capitals
    off = max(float(np.abs(found[n] - v).max()) for n, v in wanted.items())
    return Checked("Python's csv", value=off, frames=len(clip.track))


def openface(clip: Performance, path: Path) -> Checked:
    """Landmarks by OpenCV of its own columns: X, Y, Z before the camera are at x, y."""
    found, (names, values) = table(path), openface_table(clip.track, clip.model)
    if list(found) != names:
        raise ValueError("other columns")
    off = max(float(np.abs(found[n] - values[:, k]).max()) for k, n in enumerate(names))
    points = np.stack([np.stack([found[f"{c}_{k}"] for k in range(68)], -1) for c in "XYZ"], -1)
    pixels = np.stack([np.stack([found[f"{c}_{k}"] for k in range(68)], -1) for c in "xy"], -1)
    intrinsic, zero = clip.camera.intrinsics().double().numpy(), np.zeros(3)
    seen = cv2.projectPoints(points.reshape(-1, 3), zero, zero, intrinsic, None)[0]
    px = float(np.abs(seen[:, 0] - pixels.reshape(-1, 2)).max())
    wanted = np.stack([values[:, [names.index(f"{c}_{k}") for k in range(68)]] for c in "XYZ"], -1)
    mm = float(np.linalg.norm(points - wanted, axis=-1).max())
    return Checked("Python's csv, OpenCV (projectPoints)", mm, px, off, len(clip.track))


def own(name: str) -> Callable[[Performance, Path], Checked]:
    """The format's own check, where it's a library's reading: UsdSkel's baking, trimesh's meshes, Python's JSON."""
    return ANIMATED[name].check


READERS: dict[str, Callable[..., Checked]] = {
    "glb": three, "usda": own("usda"), "usdc": own("usdc"), "usdz": own("usdz"), "obj": own("obj"), "ply": ply,
    "pc2": blender, "nerfstudio": transforms, "instant-ngp": transforms, "colmap": colmap, "insta": own("insta"),
    "vhap": vhap, "metrical-tracker": metrical, "arkit": arkit, "openface": openface, "mediapipe": own("mediapipe"),
}  # fmt: skip
"""By format. Those of `FLAME` take FLAME's formula, too."""

FLAME = ("vhap", "metrical-tracker")
