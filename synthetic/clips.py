"""Pictures and clips of random people, whose every parameter is known.

A person before a photograph: random identity, reflectance, expression, pose, gaze, light and camera. The picture is
blurred, noisy and compressed, as a camera's is. `benchmarks.faults` spoils them further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator

from facemodel import FaceParameters
from renderer import Camera
from synthetic.camera_effects import CameraEffects
from synthetic.chance import Chance, uniform
from synthetic.performance import expressions, head_rotation, joint_angles, wave
from synthetic.person import Person, random_person
from synthetic.surroundings import garment, photograph, random_light

HEAD = 330.0  # mm, height of the mean head with its neck, about


@dataclass(frozen=True)
class Ranges:
    """Within what a performance is drawn. The largest angles are degrees to either side."""

    yaw: float = 60.0  # of the head, in one picture
    clip_yaw: float = 45.0  # of a clip, which goes from one side to the other
    pitch: float = 20.0
    roll: float = 15.0
    gaze: tuple[float, float] = (25.0, 12.0)  # yaw and pitch of the eyes
    focal: tuple[float, float] = (0.9, 2.0)  # times the picture's side: 58 to 28 degrees of view
    fill: tuple[float, float] = (0.6, 0.9)  # what the head takes of the picture's height


@dataclass(frozen=True)
class Scene:
    """What was drawn (F frames), and what came out."""

    truth: FaceParameters  # identity, reflectance, focal once; the rest (F, ...)
    camera: Camera
    pictures: list[np.ndarray]  # F of (H, W, 3) uint8
    landmarks: np.ndarray  # (F, 478, 2) px, where MediaPipe's points are on the true surface

    def __len__(self) -> int:
        return len(self.pictures)


def random_performance(
    model, g: Generator, frames: int, size: int, within: Ranges = Ranges()
) -> tuple[FaceParameters, Camera]:
    """Somebody doing something (F frames) before a camera of ``size`` x ``size`` px."""
    focal = size * math.exp(uniform(g, *(math.log(f) for f in within.focal)))
    depth = focal * HEAD / (uniform(g, *within.fill) * size)
    yaw = math.radians(within.yaw if frames == 1 else within.clip_yaw) * wave(g, frames)
    pitch, roll = math.radians(within.pitch) * wave(g, frames), math.radians(within.roll) * wave(g, frames)
    rotation = head_rotation(yaw, pitch, roll)
    aside = torch.stack([wave(g, frames), 0.5 * wave(g, frames) + 0.5, wave(g, frames)], -1)
    room = torch.tensor([0.08, 0.08, 0.08]) * torch.tensor([HEAD, HEAD, depth])
    look = torch.stack([math.radians(a) * wave(g, frames) for a in within.gaze], -1)
    squint = torch.tensor([[-0.02, 0.0], [0.02, 0.0]])  # both eyes look at one point, some distance away
    gaze = look[:, None] + squint
    who = random_person(model, Chance(g))
    truth = FaceParameters(
        identity=who.identity,
        reflectance=who.reflectance,
        expression=expressions(model, g, frames, gaze),
        rotation=rotation,
        translation=torch.tensor([0.0, 0.0, depth]) + aside * room,
        illumination=random_light(model, g).expand(frames, 9, 3).contiguous(),
        gaze=gaze,
        focal=torch.tensor(focal),
        joints=joint_angles(model, g, frames),
    )
    return truth, Camera(focal, size, size)


def draw(model, truth: FaceParameters, camera: Camera, g: Generator, person: Person | None = None) -> np.ndarray:
    """(F, H, W, 3) in [0, 1]: the person before a background, as a perfect camera would see them.

    ``person`` has another skin than the truth's reflectance.
    """
    person = person or Person(truth.identity, truth.reflectance)
    head, alpha = (p.numpy() for p in person.draw(model, truth, camera))
    clothes = garment(model, truth, camera, torch.rand(3, generator=g).numpy() * 0.7)
    behind = photograph(g, camera.width) * (1 - clothes[..., 3:]) + clothes[..., :3] * clothes[..., 3:]
    return head + (1 - alpha) * behind


def true_landmarks(model, truth: FaceParameters, camera: Camera) -> np.ndarray:
    """(F, 478, 2) px."""
    return truth.landmarks(model, camera).double().numpy()


def make_scene(model, seed: int, frames: int, size: int, fault=None) -> Scene:
    """One person. ``fault(pictures, scene, generator)`` spoils the pictures before the camera takes them.

    It gets and returns (F, H, W, 3) in [0, 1], and gets the scene as the truth has it; it may return a smaller size.
    """
    g = Generator().manual_seed(seed)
    truth, camera = random_performance(model, g, frames, size)
    pictures, effects = draw(model, truth, camera, g), CameraEffects.random(g)
    scene = Scene(truth, camera, [], true_landmarks(model, truth, camera))
    if fault is not None:
        pictures = fault(pictures, scene, g)
        scene = resized(scene, pictures.shape[1])
    return replace(scene, pictures=[effects(p, np.random.default_rng(seed * 1000 + k)) for k, p in enumerate(pictures)])


def resized(scene: Scene, size: int) -> Scene:
    """The truth for pictures of another size."""
    scale = size / scene.camera.width
    if scale == 1:
        return scene
    truth = scene.truth.replace(focal=scene.truth.focal * scale)
    return replace(scene, truth=truth, camera=scene.camera.resized(size, size), landmarks=scene.landmarks * scale)
