"""What a synthetic person does: turns the head, looks about, blinks, talks and pulls faces."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from facemodel.gaze import EYE_LOOK_NAMES, gaze_to_eye_look
from renderer import axis_angle, rotation_matrix
from synthetic.chance import uniform

FPS = 25.0  # of a clip, where nothing else is said
Gesture = dict[str, float]  # ARKit shapes that go together, at their strongest

GESTURES: tuple[Gesture, ...] = (
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
"""Of clips."""

MILD: tuple[Gesture, ...] = (
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
"""Of stills, as people have them in photographs."""


def gestures_of(model, gestures: tuple[Gesture, ...]) -> list[dict[int, float]]:
    """The gestures by coefficient, those that the model has the shapes of.

    Of a model without ARKit's names each coefficient is a gesture, up to one and a half of its standard deviations.
    """
    known = [{model.arkit[n]: top for n, top in g.items()} for g in gestures if all(n in model.arkit for n in g)]
    if known:
        return known
    return [{k: 1.5 * float(std)} for k, std in enumerate(model.blocks["expression"].std)]


def act(out: Tensor, gesture: dict[int, float], strength: Tensor | float, askew: Callable[[], float]) -> None:
    """Adds a gesture of a strength, () or (F,), to expressions (..., E); each shape of it is a little off."""
    for index, top in gesture.items():
        out[..., index] += strength * top * askew()


def expression_of(model, seed: int) -> Tensor:
    """(E,): up to three gestures of a still's seed; 0 is neutral."""
    block = model.blocks["expression"]
    out = block.mean.clone()
    if seed == 0:
        return out
    draw, known = np.random.default_rng([seed, 3]), gestures_of(model, MILD)
    for k in draw.choice(len(known), draw.integers(0, min(4, len(known) + 1)), replace=False):
        act(out, known[k], draw.uniform(0.2, 1.0), lambda: draw.uniform(0.8, 1.0))
    return block.clamp(out)


def expressions(model, g: Generator, frames: int, gaze: Tensor, fps: float = FPS) -> Tensor:
    """(F, E): three gestures, blinks, and the lids that follow the gaze (F, 2, 2)."""
    block, known = model.blocks["expression"], gestures_of(model, GESTURES)
    out = block.mean.repeat(frames, 1)
    for k in torch.randperm(len(known), generator=g)[:3]:
        curve = wave(g, frames, fps).clamp_min(0) if frames > 1 else torch.rand(1, generator=g)
        act(out, known[k], curve, lambda: uniform(g, 0.75, 1.0))
    closing = blinks(g, frames, fps)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        lid = closing * uniform(g, 0.9, 1.0)
        if name in model.arkit:
            out[:, model.arkit[name]] = lid
    look = gaze_to_eye_look(gaze)
    for name in EYE_LOOK_NAMES:
        if name in model.arkit:
            out[:, model.arkit[name]] = look[name]
    return block.clamp(out)


def wave(g: Generator, frames: int, fps: float = FPS) -> Tensor:
    """(F,) within [-1, 1]: one uniform number for one frame, else a smooth curve that goes from side to side."""
    if frames == 1:
        return torch.rand(1, generator=g) * 2 - 1
    t = torch.arange(frames) / fps
    slow, fast = uniform(g, 0.25, 0.45), uniform(g, 0.6, 1.1)
    phase = [uniform(g, 0, 2 * math.pi) for _ in range(2)]
    return 0.8 * (2 * math.pi * slow * t + phase[0]).sin() + 0.2 * (2 * math.pi * fast * t + phase[1]).sin()


def blinks(g: Generator, frames: int, fps: float = FPS) -> Tensor:
    """(F,): a lid closure in a quarter of the pictures; in a clip one a second, a sixth of a second long."""
    if frames == 1:
        return torch.full((1,), uniform(g, 0.3, 1.0) if uniform(g, 0, 1) < 0.25 else 0.0)
    t, out = torch.arange(frames) / fps, torch.zeros(frames)
    for second in range(math.ceil(frames / fps)):
        out = torch.maximum(out, (-(((t - second - uniform(g, 0.15, 0.85)) / 0.08) ** 2)).exp())
    return out


def joint_angles(model, g: Generator, frames: int) -> Tensor:
    """(F, J) radians: each joint within one standard deviation of its rest; (0,) where the model has none."""
    if not model.count("joints"):
        return torch.zeros(0)
    block = model.blocks["joints"]
    return block.clamp(block.mean + block.std * torch.stack([wave(g, frames) for _ in range(len(block))], -1))


def head_rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Axis-angle (..., 3) of a roll, then a pitch, then a yaw, each (...) radians.

    Yaw is positive to the subject's left, pitch positive down, roll positive towards the subject's right shoulder.
    """
    zero = torch.zeros_like(yaw)
    turns = (torch.stack(v, -1) for v in ((zero, yaw, zero), (pitch, zero, zero), (zero, zero, roll)))
    a, b, c = (rotation_matrix(v) for v in turns)
    return axis_angle(a @ b @ c)


def head_turn(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Tensor:
    """`head_rotation` (3,) of degrees, pitch positive up."""
    return head_rotation(*torch.tensor([yaw, -pitch, roll]).deg2rad())
