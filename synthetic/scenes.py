"""Pictures and clips of random people drawn from the default model, whose every parameter is known.

A person stands in front of a photograph: random identity, reflectance, expression, pose, gaze, light and lens. The
picture is blurred, noisy and compressed, as a camera's is. `benchmarks.faults` spoils them further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Generator, Tensor

from facemodel import FaceParameters
from facemodel.gaze import EYE_LOOK_NAMES, gaze_to_eye_look
from geometry.spherical_harmonics import COSINE_LOBE
from renderer import Camera, axis_angle, project, render, rotation_matrix, sh_basis, to_camera

YAW, PITCH, ROLL = (math.radians(a) for a in (60, 20, 15))  # largest angles of a head
CLIP_YAW = math.radians(45)  # a clip goes from one side to the other
GAZE = math.radians(25), math.radians(12)  # largest yaw and pitch of the eyes
WITHIN = 2.5  # standard deviations: the model isn't meant beyond
HEAD = 330.0  # mm, height of the mean head with its neck, about
PHOTOGRAPHS = ("coffee.png", "rocket.jpg", "chelsea.png", "motorcycle_left.png", "gravel.png", "brick.png", "grass.png")

# Shapes that go together, and how far they go. A person shows three of these at a time, and blinks.
GESTURES = (
    {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
    {"jawOpen": 0.6},
    {"jawOpen": 0.25, "mouthLowerDownLeft": 0.5, "mouthLowerDownRight": 0.5, "mouthUpperUpLeft": 0.4},
    {"mouthFrownLeft": 0.7, "mouthFrownRight": 0.7, "mouthShrugLower": 0.4},
    {"mouthPucker": 0.8},
    {"mouthFunnel": 0.6, "jawOpen": 0.15},
    {"mouthStretchLeft": 0.6, "mouthStretchRight": 0.6},
    {"mouthLeft": 0.4},
    {"mouthRight": 0.4},
    {"browInnerUp": 0.8, "browOuterUpLeft": 0.7, "browOuterUpRight": 0.7, "eyeWideLeft": 0.4, "eyeWideRight": 0.4},
    {"browDownLeft": 0.8, "browDownRight": 0.8, "noseSneerLeft": 0.3, "noseSneerRight": 0.3},
    {"eyeSquintLeft": 0.7, "eyeSquintRight": 0.7},
)


@dataclass(frozen=True)
class Scene:
    """What was drawn (F frames), and what came out."""

    truth: FaceParameters  # identity, reflectance, focal once; the rest (F, ...)
    camera: Camera
    pictures: list[np.ndarray]  # F of (H, W, 3) uint8
    landmarks: np.ndarray  # (F, 478, 2) px, where MediaPipe's points are on the true surface

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True)
class Lens:
    """What the camera does to a picture."""

    blur: float  # px, standard deviation
    noise: float  # of 255, standard deviation
    quality: int  # of JPEG

    @classmethod
    def random(cls, g: Generator) -> Lens:
        return cls(uniform(g, 0.3, 0.9), uniform(g, 1.0, 4.0), int(uniform(g, 70, 96)))

    def __call__(self, picture: np.ndarray, seed: int) -> np.ndarray:
        """(H, W, 3) in [0, 1] to uint8."""
        noise = np.random.default_rng(seed).normal(0, self.noise / 255, picture.shape)
        seen = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), self.blur) + noise
        bgr = (seen[..., ::-1] * 255).round().clip(0, 255).astype(np.uint8)
        _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])


def uniform(g: Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=g))


def wave(g: Generator, frames: int, fps: float = 25.0) -> Tensor:
    """(F,) within [-1, 1]: one uniform number for one frame, else a smooth curve that goes from side to side."""
    if frames == 1:
        return torch.rand(1, generator=g) * 2 - 1
    t = torch.arange(frames) / fps
    slow, fast = uniform(g, 0.25, 0.45), uniform(g, 0.6, 1.1)
    phase = [uniform(g, 0, 2 * math.pi) for _ in range(2)]
    return 0.8 * (2 * math.pi * slow * t + phase[0]).sin() + 0.2 * (2 * math.pi * fast * t + phase[1]).sin()


def blinks(g: Generator, frames: int) -> Tensor:
    """(F,): a lid closure in a quarter of the pictures; in a clip one a second, a sixth of a second long."""
    if frames == 1:
        return torch.full((1,), uniform(g, 0.3, 1.0) if uniform(g, 0, 1) < 0.25 else 0.0)
    t, out = torch.arange(frames) / 25.0, torch.zeros(frames)
    for second in range(math.ceil(frames / 25)):
        out = torch.maximum(out, (-(((t - second - uniform(g, 0.15, 0.85)) / 0.08) ** 2)).exp())
    return out


def expressions(model, g: Generator, frames: int, gaze: Tensor) -> Tensor:
    """(F, E): three gestures, a little askew, blinks, and the lids that follow the gaze (F, 2, 2)."""
    out = torch.zeros(frames, len(model.expression_names))
    for k in torch.randperm(len(GESTURES), generator=g)[:3]:
        curve = wave(g, frames).clamp_min(0) if frames > 1 else torch.rand(1, generator=g)
        for name, top in GESTURES[k].items():
            out[:, model.expression_index(name)] += curve * top * uniform(g, 0.75, 1.0)
    closing = blinks(g, frames)
    for side in ("Left", "Right"):
        out[:, model.expression_index(f"eyeBlink{side}")] = closing * uniform(g, 0.9, 1.0)
    look = gaze_to_eye_look(gaze)
    for name in EYE_LOOK_NAMES:
        out[:, model.expression_index(name)] = look[name]
    return out.clamp(0, 1)


def head_rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Axis-angle (F, 3) of a roll, then a pitch, then a yaw, each (F,) radians."""
    zero = torch.zeros_like(yaw)
    turns = (torch.stack(v, -1) for v in ((zero, yaw, zero), (pitch, zero, zero), (zero, zero, roll)))
    a, b, c = (rotation_matrix(v) for v in turns)
    return axis_angle(a @ b @ c)


def illumination(g: Generator) -> Tensor:
    """(9, 3): a surrounding light and one to three lamps before and above the face, none of them quite white.

    Scaled so that a white surface has 0.5 to 1 on the average over the directions that face the camera.
    """
    tint = lambda: 1 + 0.08 * torch.randn(3, generator=g).clamp(-2, 2)  # noqa: E731
    lobe = torch.tensor([COSINE_LOBE[band] for band in (0, 1, 1, 1, 2, 2, 2, 2, 2)])
    front = torch.nn.functional.normalize(torch.randn(500, 3, generator=g), dim=-1)
    front[:, 2] = front[:, 2].abs()
    light = torch.zeros(9, 3)
    light[0] = uniform(g, 0.2, 0.7) * tint() / sh_basis(front[:1])[0, 0]
    for _ in range(int(uniform(g, 1, 4))):
        way = torch.tensor([uniform(g, -1, 1), uniform(g, -0.3, 1), uniform(g, 0.2, 1)])
        basis = sh_basis(torch.nn.functional.normalize(way, dim=0))
        light += math.pi * uniform(g, 0.2, 0.8) * (lobe * basis)[:, None] * tint()
    return light * (uniform(g, 0.5, 1.0) / (sh_basis(front) @ light).mean())


def person(model, g: Generator, frames: int, size: int) -> tuple[FaceParameters, Camera]:
    """Everything that is random about a person before a camera of ``size`` x ``size`` px."""
    normal = lambda n: torch.randn(n, generator=g).clamp(-WITHIN, WITHIN)  # noqa: E731
    focal = size * math.exp(uniform(g, math.log(0.9), math.log(2.0)))  # 58 to 28 degrees
    fill = uniform(g, 0.6, 0.9)  # of the picture's height
    depth = focal * HEAD / (fill * size)
    yaw = (YAW if frames == 1 else CLIP_YAW) * wave(g, frames)
    rotation = head_rotation(yaw, PITCH * wave(g, frames), ROLL * wave(g, frames))
    aside = torch.stack([wave(g, frames), 0.5 * wave(g, frames) + 0.5, wave(g, frames)], -1)
    room = torch.tensor([0.08, 0.08, 0.08]) * torch.tensor([HEAD, HEAD, depth])
    look = torch.stack([GAZE[0] * wave(g, frames), GAZE[1] * wave(g, frames)], -1)
    squint = torch.tensor([[-0.02, 0.0], [0.02, 0.0]])  # both eyes look at one point, some distance away
    gaze = look[:, None] + squint
    truth = FaceParameters(
        identity=normal(len(model.identity_basis)),
        reflectance=normal(len(model.albedo_basis)),
        expression=expressions(model, g, frames, gaze),
        rotation=rotation,
        translation=torch.tensor([0.0, 0.0, depth]) + aside * room,
        illumination=_not_burnt_out(model, illumination(g)).expand(frames, 9, 3).contiguous(),
        gaze=gaze,
        focal=torch.tensor(focal),
    )
    return truth, Camera(focal, size, size)


def _not_burnt_out(model, light: Tensor) -> Tensor:
    """Dims a light under which the mean skin, turned any way the camera can see, would pass 0.9."""
    sphere = torch.nn.functional.normalize(torch.randn(2000, 3, generator=Generator().manual_seed(0)), dim=-1)
    sphere[:, 2] = sphere[:, 2].abs()
    skin = model.albedo_mean[model.regions["skin"]].mean(0)
    return light * min(1.0, 0.9 / float((skin * (sh_basis(sphere) @ light)).max()))


def background(g: Generator, size: int) -> np.ndarray:
    """(size, size, 3) in [0, 1]: part of a photograph, out of focus a little."""
    name = PHOTOGRAPHS[int(torch.randint(len(PHOTOGRAPHS), (), generator=g))]
    with Image.open(Path(skimage.data.__file__).parent / name) as file:
        photograph = np.asarray(file.convert("RGB"))
    side = int(min(photograph.shape[:2]) * uniform(g, 0.5, 1.0))
    y, x = (int(uniform(g, 0, n - side)) for n in photograph.shape[:2])
    part = cv2.resize(photograph[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(part.astype(np.float32) / 255, (0, 0), uniform(g, 0.5, 4.0))


def shoulders(model, truth: FaceParameters, camera: Camera, colour: np.ndarray) -> np.ndarray:
    """(F, H, W, 4) colour and cover of a plain garment below the neck, so that no head floats."""
    neck = model.mean[model.regions["neck"]]
    below = neck[neck[:, 1] < neck[:, 1].quantile(0.2)].mean(0)
    u, v = project(to_camera(below[None], truth.rotation, truth.translation), camera)[:, 0].T.numpy()
    scale = (camera.focal / truth.translation[:, 2]).numpy()
    out = np.zeros((len(u), camera.height, camera.width, 4), np.float32)
    for k in range(len(u)):
        middle, axes = (int(u[k]), int(v[k] + 170 * scale[k])), (int(230 * scale[k]), int(190 * scale[k]))
        cv2.ellipse(out[k], middle, axes, 0, 0, 360, (*colour.tolist(), 1.0), -1, cv2.LINE_AA)
    return out


def draw(model, truth: FaceParameters, camera: Camera, g: Generator) -> np.ndarray:
    """(F, H, W, 3) in [0, 1]: the people before their background, as a perfect camera would see them."""
    maps = render(model, truth, camera, maps=("diffuse", "mask"), supersample=2)
    garment = shoulders(model, truth, camera, torch.rand(3, generator=g).numpy() * 0.7)
    scene = background(g, camera.width)
    behind = scene * (1 - garment[..., 3:]) + garment[..., :3] * garment[..., 3:]
    # The maps are averages with black where nothing is: colour times cover already.
    return maps["diffuse"].numpy() + (1 - maps["mask"].numpy()) * behind


def true_landmarks(model, truth: FaceParameters, camera: Camera) -> np.ndarray:
    """(F, 478, 2) px."""
    points = model.landmarks(model.vertices(truth.identity, truth.expression, truth.gaze), "mediapipe478")
    return project(to_camera(points, truth.rotation, truth.translation), camera).double().numpy()


def make_scene(model, seed: int, frames: int, size: int, fault=None) -> Scene:
    """One person. ``fault(pictures, scene, generator)`` spoils the pictures before the camera takes them.

    It gets and returns (F, H, W, 3) in [0, 1], and gets the scene as the truth has it; it may return a smaller size.
    """
    g = Generator().manual_seed(seed)
    truth, camera = person(model, g, frames, size)
    pictures, lens = draw(model, truth, camera, g), Lens.random(g)
    scene = Scene(truth, camera, [], true_landmarks(model, truth, camera))
    if fault is not None:
        pictures = fault(pictures, scene, g)
        scene = resized(scene, pictures.shape[1])
    return replace(scene, pictures=[lens(p, seed * 1000 + k) for k, p in enumerate(pictures)])


def resized(scene: Scene, size: int) -> Scene:
    """The truth for pictures of another size."""
    scale = size / scene.camera.width
    if scale == 1:
        return scene
    truth = scene.truth.replace(focal=scene.truth.focal * scale)
    return replace(scene, truth=truth, camera=scene.camera.resized(size, size), landmarks=scene.landmarks * scale)
