"""Where a synthetic person stands: pose, expression, light, camera and background, drawn by chance or chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from facemodel import FaceParameters
from geometry.spherical_harmonics import COSINE_LOBE
from renderer import Camera, axis_angle, render_textured, rotation_matrix, sh_basis
from synthetic.person import Person

FACE_HEIGHT = 250.0  # mm, from the chin to the crown, about
LEVELS = (0.45, 0.95)  # mean radiance of a white surface that faces the camera

# Shapes that go together, at their strongest.
GESTURES: tuple[dict[str, float], ...] = (
    {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "cheekSquintLeft": 0.4, "cheekSquintRight": 0.4},
    {"jawOpen": 0.45},
    {"mouthFrownLeft": 0.6, "mouthFrownRight": 0.6},
    {"mouthPucker": 0.6},
    {"mouthLeft": 0.4},
    {"mouthRight": 0.4},
    {"browInnerUp": 0.8, "browOuterUpLeft": 0.6, "browOuterUpRight": 0.6},
    {"browDownLeft": 0.7, "browDownRight": 0.7},
    {"eyeSquintLeft": 0.6, "eyeSquintRight": 0.6},
    {"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9},
)


@dataclass(frozen=True)
class Shot:
    """One picture's circumstances; the seeds of light and expression say which were drawn."""

    yaw: float  # degrees, positive to the subject's left
    pitch: float  # degrees, positive up
    roll: float  # degrees
    light: int  # seed; 0 is even light from everywhere
    expression: int  # seed; 0 is neutral
    focal: float  # times the picture's side
    background: int = 0  # seed


@dataclass(frozen=True)
class RandomScenes:
    """How shots are drawn."""

    yaw: float = 90.0  # degrees, the largest to either side
    pitch: float = 15.0
    roll: float = 8.0
    yaws: tuple[float, ...] = ()  # these, one after the other, instead of any
    lights: bool = True  # else all even
    expressions: bool = True  # else all neutral

    def shot(self, draw: np.random.Generator, number: int = 0) -> Shot:
        """The circumstances of a person's picture ``number``."""
        angles = draw.uniform(-1, 1, 3) * (self.yaw, self.pitch, self.roll)
        seeds = draw.integers(1, 2**31, 3)
        return Shot(
            yaw=float(self.yaws[number % len(self.yaws)] if self.yaws else angles[0]),
            pitch=float(angles[1]),
            roll=float(angles[2]),
            light=int(seeds[0]) if self.lights else 0,
            expression=int(seeds[1]) if self.expressions else 0,
            focal=float(math.exp(draw.uniform(math.log(1.3), math.log(4.0)))),
            background=int(seeds[2]),
        )


def head_rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """Axis-angle (3,) of a roll, then a pitch, then a yaw; degrees in, as a ``Shot`` has them."""
    turns = torch.tensor([[0.0, yaw, 0.0], [-pitch, 0.0, 0.0], [0.0, 0.0, roll]]).deg2rad()
    a, b, c = rotation_matrix(turns)
    return axis_angle(a @ b @ c)


def light_of(seed: int) -> Tensor:
    """(9, 3): surroundings and one to three lamps before the face, none quite white. Seed 0 is even white light."""
    light = torch.zeros(9, 3)
    light[0] = sum(LEVELS) / 2 / sh_basis(torch.tensor([0.0, 0.0, 1.0]))[0]
    if seed == 0:
        return light
    draw = np.random.default_rng([seed, 2])
    tint = lambda: torch.from_numpy(1 + 0.08 * draw.standard_normal(3).clip(-2, 2)).float()  # noqa: E731
    lobe = torch.tensor([COSINE_LOBE[band] for band in (0, 1, 1, 1, 2, 2, 2, 2, 2)])
    light[0] = draw.uniform(0.25, 0.7) * tint() / light.new_tensor(0.28209479177387814)
    for _ in range(draw.integers(1, 4)):
        way = torch.tensor([draw.uniform(-1, 1), draw.uniform(-0.3, 1), draw.uniform(0.2, 1)]).float()
        basis = sh_basis(torch.nn.functional.normalize(way, dim=0))
        light += math.pi * draw.uniform(0.2, 0.8) * (lobe * basis)[:, None] * tint()
    front = torch.from_numpy(np.random.default_rng(0).standard_normal((400, 3))).float()
    front = torch.nn.functional.normalize(front, dim=-1)
    front[:, 2] = front[:, 2].abs()
    return light * (draw.uniform(*LEVELS) / (sh_basis(front) @ light).mean())


def expression_of(model, seed: int) -> Tensor:
    """(E,): up to three gestures, a little askew. Seed 0 is neutral."""
    out = torch.zeros(len(model.expression_names))
    if seed == 0:
        return out
    draw = np.random.default_rng([seed, 3])
    for k in draw.choice(len(GESTURES), draw.integers(0, 4), replace=False):
        strength = draw.uniform(0.2, 1.0)
        for name, top in GESTURES[k].items():
            out[model.expression_index(name)] += strength * top * draw.uniform(0.8, 1.0)
    return out.clamp(0, 1)


def stand(model, person: Person, shot: Shot, size: int, fill: float = 0.85) -> tuple[FaceParameters, Camera]:
    """Parameters of a shot, and a camera of ``size`` px in whose middle the head is, filling so much of its height."""
    focal = shot.focal * size
    depth = focal * FACE_HEIGHT / (fill * size)
    rotation = head_rotation(shot.yaw, shot.pitch, shot.roll)
    parameters = FaceParameters(
        identity=person.identity,
        reflectance=person.reflectance,
        expression=expression_of(model, shot.expression),
        rotation=rotation,
        # The eyes' height comes a little above the middle; the origin is between the ears.
        translation=torch.tensor([-35.0 * math.sin(math.radians(shot.yaw)), -20.0, depth]),
        illumination=light_of(shot.light),
        gaze=torch.zeros(2, 2),
        focal=torch.tensor(focal),
    )
    return parameters, Camera(focal, size, size)


def shoot(model, person: Person, shot: Shot, size: int, fill: float = 0.85) -> np.ndarray:
    """(size, size, 3) uint8 sRGB: the person before a blurred background."""
    parameters, camera = stand(model, person, shot, size, fill)
    picture, cover = render_textured(model, parameters, camera, person.albedo)
    draw = np.random.default_rng([shot.background, 4])
    coarse = draw.uniform(0, 0.75, (4, 4, 1)) + draw.uniform(0, 0.25, (4, 4, 3))
    behind = cv2.resize(coarse.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    mask = cover[0].numpy()
    seen = mask * picture[0].numpy() + (1 - mask) * behind
    seen = seen + draw.normal(0, draw.uniform(0.0, 0.012), seen.shape)  # the sensor's noise
    return (seen * 255).round().clip(0, 255).astype(np.uint8)
