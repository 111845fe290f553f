"""Single pictures of a person: pose, expression, light, camera and background, drawn by chance or chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from facemodel import FaceParameters
from renderer import Camera
from synthetic.camera_effects import CameraEffects
from synthetic.performance import expression_of, head_turn
from synthetic.person import Person
from synthetic.surroundings import colours, light_of

FACE_HEIGHT = 250.0  # mm, from the chin to the crown, about


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
class RandomShots:
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


def frame_shot(model, person: Person, shot: Shot, size: int, fill: float = 0.85) -> tuple[FaceParameters, Camera]:
    """Parameters of a shot, and a camera of ``size`` px in whose middle the head is, filling so much of its height."""
    focal = shot.focal * size
    depth = focal * FACE_HEIGHT / (fill * size)
    parameters = FaceParameters.neutral(model, (), focal=focal).replace(
        identity=person.identity,
        reflectance=person.reflectance,
        expression=expression_of(model, shot.expression),
        rotation=head_turn(shot.yaw, shot.pitch, shot.roll),
        # The eyes' height comes a little above the middle; the origin is between the ears.
        translation=torch.tensor([-35.0 * math.sin(math.radians(shot.yaw)), -20.0, depth]),
        illumination=light_of(shot.light),
    )
    return parameters, Camera(focal, size, size)


def shoot(model, person: Person, shot: Shot, size: int, fill: float = 0.85) -> np.ndarray:
    """(size, size, 3) uint8 sRGB: the person before a blurred background."""
    head, alpha = (p[0].numpy() for p in person.draw(model, *frame_shot(model, person, shot, size, fill)))
    draw = np.random.default_rng([shot.background, 4])
    seen = head + (1 - alpha) * colours(draw, size)
    return CameraEffects(noise=draw.uniform(0.0, 0.012))(seen, draw)
