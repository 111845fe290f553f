"""Gaze angles of the two eyes, and ARKit's eight eyeLook coefficients that go with them.

Gaze is (..., 2 eyes, 2) = (yaw, pitch) in radians in the head's frame; eye 0 is the subject's left. Positive yaw looks
towards the subject's left (+x), positive pitch up. ARKit says the same eye by eye: In = towards the nose, Out = away.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from facemodel.arkit import ARKIT_NAMES
from foundation.errors import PortraitError

FULL_LOOK = {"In": 0.6109, "Out": 0.6109, "Up": 0.5236, "Down": 0.5236}
"""The angle, in radians, at which a coefficient is 1: 35 degrees sideways, 30 up and down."""

EYE_LOOK_NAMES: tuple[str, ...] = tuple(n for n in ARKIT_NAMES if n.startswith("eyeLook"))


def _outward(eye: int) -> int:
    """Sign of the yaw that turns an eye away from the nose."""
    return 1 if eye == 0 else -1


def _look(name: str) -> tuple[int, float]:
    """Which of the four angles (left yaw, left pitch, right yaw, right pitch) a coefficient is of, and where it's 1."""
    eye = int(name.endswith("Right"))
    way = name.removeprefix("eyeLook").removesuffix("Right").removesuffix("Left")
    sign = {"In": -_outward(eye), "Out": _outward(eye), "Up": 1, "Down": -1}[way]
    return 2 * eye + (way in ("Up", "Down")), sign * FULL_LOOK[way]


_ANGLES, _FULL = map(list, zip(*(_look(name) for name in EYE_LOOK_NAMES)))


def gaze_rotation(gaze: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) that turn the forward axis (0, 0, 1) into each eye's direction; gaze (..., 2)."""
    return gaze_rotation_and_slopes(gaze)[..., 0, :, :]


def gaze_rotation_and_slopes(gaze: Tensor) -> Tensor:
    """(..., 3, 3, 3): `gaze_rotation`, its derivative by yaw, and that by pitch; gaze (..., 2)."""
    yaw, pitch = gaze.unbind(-1)
    sy, cy, sp, cp = yaw.sin(), yaw.cos(), pitch.sin(), pitch.cos()
    zero, ss, sc, cs, cc = torch.zeros_like(sy), sy * sp, sy * cp, cy * sp, cy * cp
    minus_s, minus_c, minus_ss, minus_sc, minus_cs = -sy, -cy, -ss, -sc, -cs
    turn = [cy, minus_ss, sc, zero, cp, sp, minus_s, minus_cs, cc]
    by_yaw = [minus_s, minus_cs, cc, zero, zero, zero, minus_c, ss, minus_sc]
    by_pitch = [zero, minus_sc, minus_ss, zero, -sp, cp, zero, -cc, minus_cs]
    return torch.stack(turn + by_yaw + by_pitch, -1).view(*yaw.shape, 3, 3, 3)


def gaze_direction(gaze: Tensor) -> Tensor:
    """Unit vectors (..., 3) of gaze (..., 2), in the model's axes."""
    yaw, pitch = gaze.unbind(-1)
    return torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)


def eye_look(gaze: Tensor) -> Tensor:
    """ARKit's eyeLook coefficients (..., 8) in [0, 1], in the order of `EYE_LOOK_NAMES`, of gaze (..., 2 eyes, 2)."""
    return (gaze.flatten(-2)[..., _ANGLES] / gaze.new_tensor(_FULL)).clamp(0.0, 1.0)


def gaze_to_eye_look(gaze: Tensor) -> dict[str, Tensor]:
    """`eye_look` by name, each (...)."""
    return dict(zip(EYE_LOOK_NAMES, eye_look(gaze).unbind(-1)))


def eye_look_to_gaze(
    expression: Tensor | Mapping[str, Tensor],
    names: tuple[str, ...] = ARKIT_NAMES,
) -> Tensor:
    """Gaze (..., 2 eyes, 2) of the eyeLook coefficients in an expression (..., E) with these names, or in a mapping.

    The inverse of ``gaze_to_eye_look`` within the range of its coefficients.
    """
    if not isinstance(expression, Mapping):
        if expression.shape[-1] != len(names):
            raise PortraitError(
                f"expression: expected {len(names)} coefficients, got shape {tuple(expression.shape)}; "
                "give the model's expression_names as names"
            )
        expression = dict(zip(names, expression.unbind(-1)))
    missing = [n for n in EYE_LOOK_NAMES if n not in expression]
    if missing:
        raise PortraitError(f"expression: '{missing[0]}' is missing; expected all of {', '.join(EYE_LOOK_NAMES)}")
    eyes = []
    for eye, side in enumerate(("Left", "Right")):
        look = {k: expression[f"eyeLook{k}{side}"] * FULL_LOOK[k] for k in FULL_LOOK}
        eyes.append(torch.stack([(look["Out"] - look["In"]) * _outward(eye), look["Up"] - look["Down"]], -1))
    return torch.stack(eyes, -2)
