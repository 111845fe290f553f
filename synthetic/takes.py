"""Anybody in any performance: people with a look of their own, and performances that don't say whose they are.

`make_look` is a function of the data set's seed and a person's number, `make_performance` of seed and a performance's
number, and `take` puts the one into the other: "A doing what B did" is a picture that can be drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from facemodel import FaceParameters, Track
from renderer import Camera
from synthetic.camera_effects import CameraEffects
from synthetic.performance import FPS, expressions, head_rotation, joint_angles, wave
from synthetic.person import Person, make_person
from synthetic.skin import hair_tone
from synthetic.surroundings import garment, muted, random_light, room
from synthetic.wear import Solid, draw_with, make_glasses, make_hair
from synthetic.wear.hair import style_of

ACROSS = 370.0  # mm at the head's distance that a picture shows from edge to edge
GLASSES = 0.3  # share of people who wear them
TURN = (35.0, 14.0, 10.0)  # degrees of yaw, pitch and roll that heads turn to either side
LOOK = (22.0, 10.0)  # of the eyes' yaw and pitch
STRAY = (0.3, 0.45)  # how many of the shapes also move on their own, and how far
OPENED = ("tongueOut", "mouthClose")  # shapes that mean something only so far as the jaw is open


@dataclass(frozen=True)
class Look:
    """What stays with a person: skin, hair, glasses, clothes, and where they're filmed."""

    person: Person
    worn: Solid | None  # hair and glasses
    hair: str  # a style of `synthetic.wear.STYLES`
    glasses: bool
    clothes: Tensor  # (3,) sRGB
    light: Tensor  # (9, 3)
    focal: float  # of their camera, times the picture's side
    effects: CameraEffects
    seed: tuple[int, ...]  # of their background and their camera's noise


@dataclass(frozen=True)
class Performance:
    """What is done, F frames, by nobody in particular."""

    expression: Tensor  # (F, E)
    rotation: Tensor  # (F, 3) axis-angle, as `FaceParameters` has it
    gaze: Tensor  # (F, 2, 2)
    aside: Tensor  # (F, 3) of `ACROSS`: right, down and back from the picture's middle
    joints: Tensor  # (F, J) radians, or (0,)
    fps: float

    def __len__(self) -> int:
        return len(self.rotation)


def make_look(model, atlas, seed: int, number: int) -> Look:
    """The person of a number: the same whoever else is drawn."""
    person = make_person(model, atlas, seed, number)
    draw = np.random.default_rng([seed, number, 7])
    tone, style = hair_tone(np.random.default_rng([seed, number, 1])), style_of(draw)
    hair = make_hair(model, person.identity, style, tone, draw)
    glasses = make_glasses(model, person.identity, draw) if draw.random() < GLASSES else None
    worn = [solid for solid in (hair, glasses) if solid is not None]
    g, clothes = Generator().manual_seed(int(draw.integers(2**62))), muted(draw.uniform(0, 0.85, 3))
    return Look(
        person=person,
        worn=Solid.joined(worn) if worn else None,
        hair=style,
        glasses=glasses is not None,
        clothes=torch.from_numpy(clothes).float(),
        light=random_light(model, g),
        focal=math.exp(draw.uniform(math.log(1.4), math.log(3.0))),
        effects=CameraEffects(draw.uniform(0.2, 0.5), draw.uniform(0.5, 2.0) / 255),
        seed=(seed, number),
    )


def make_performance(model, seed: int, number: int, frames: int, fps: float = FPS) -> Performance:
    """The performance of a number, of smooth processes: gestures, single shapes, blinks, head and eyes."""
    g = Generator().manual_seed(int(np.random.default_rng([seed, number, 8]).integers(2**62)))
    turn = [math.radians(most) * wave(g, frames, fps) for most in TURN]
    look = torch.stack([math.radians(most) * wave(g, frames, fps) for most in LOOK], -1)
    gaze = look[:, None] + torch.tensor([[-0.02, 0.0], [0.02, 0.0]])
    expression = expressions(model, g, frames, gaze, fps)
    for name, index in model.arkit.items():
        moves, most, curve = torch.rand((), generator=g) < STRAY[0], STRAY[1], wave(g, frames, fps)
        if moves and not name.startswith("eye"):  # lids follow blinks and gaze
            expression[:, index] += most * curve.clamp_min(0)
    if "jawOpen" in model.arkit:
        for name in OPENED:
            column = expression[:, model.arkit[name]]
            expression[:, model.arkit[name]] = torch.minimum(column, expression[:, model.arkit["jawOpen"]])
    return Performance(
        model.blocks["expression"].clamp(expression), head_rotation(*turn), gaze,
        torch.stack([0.05 * wave(g, frames, fps) for _ in range(3)], -1), joint_angles(model, g, frames), fps,
    )  # fmt: skip


def performance_of(track: Track, seed: int, number: int, frames: int, fps: float = FPS) -> Performance:
    """A stretch of what somebody real did, by chance: of a track, taken at ``fps``, held where it ends too early."""
    p, found = track.parameters.expanded(), track.tracked
    known, times = np.flatnonzero(found.numpy()), track.seconds.numpy()
    first = np.random.default_rng([seed, number, 9]).uniform(0, max(0.0, times[-1] - (frames - 1) / fps))
    nearest = np.abs(times[known][None] - (first + np.arange(frames) / fps)[:, None]).argmin(1)
    rows = torch.from_numpy(known[nearest])
    place, middle = p.translation[rows], p.translation[found].median(0).values
    # What it moved, as it would be seen about ACROSS from edge to edge; all of it stays well inside the picture.
    aside = ((place - middle) / ACROSS).clamp(-0.08, 0.08)
    return Performance(p.expression[rows], p.rotation[rows], p.gaze[rows], aside, p.joints[rows], fps)


def parameters_of(look: Look, performance: Performance, size: int) -> tuple[FaceParameters, Camera]:
    """The person in the performance, before their camera of ``size`` x ``size`` px."""
    focal = look.focal * size
    place = torch.tensor([0.0, -0.02, look.focal]) + performance.aside
    return FaceParameters(
        identity=look.person.identity,
        reflectance=look.person.reflectance,
        expression=performance.expression,
        rotation=performance.rotation,
        translation=place * ACROSS,
        illumination=look.light.expand(len(performance), 9, 3).contiguous(),
        gaze=performance.gaze,
        focal=torch.tensor(focal),
        joints=performance.joints,
    ), Camera(focal, size, size)


def take(model, look: Look, performance: Performance, size: int) -> tuple[FaceParameters, np.ndarray]:
    """The truth, and pictures (F, size, size, 3) uint8: the person in the performance."""
    truth, camera = parameters_of(look, performance, size)
    head, alpha = (p.numpy() for p in draw_with(model, truth, camera, look.person.albedo, look.worn))
    clothes = garment(model, truth, camera, look.clothes.numpy())
    behind = room(np.random.default_rng([*look.seed, 10]), size)
    behind = behind * (1 - clothes[..., 3:]) + clothes[..., :3] * clothes[..., 3:]
    noise = np.random.default_rng([*look.seed, 11])
    return truth, np.stack([look.effects(picture, noise) for picture in head + (1 - alpha) * behind])
