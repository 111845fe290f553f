"""A scripted performance, for when there is no second person's video: the demo's default driver."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from facemodel import FaceParameters, FrameStatus, Track
from facemodel.editing.edits import couple_lids
from geometry.spherical_harmonics import C0

SIZE = 480  # px, of the square picture in which it is played
SECONDS = 8.0


@dataclass(frozen=True)
class Key:
    """A value at a time; between keys curves run smoothly, level at each key."""

    time: float  # seconds
    value: float


def _bump(start: float, rise: float, hold: float, fall: float, height: float) -> list[Key]:
    times = (start, start + rise, start + rise + hold, start + rise + hold + fall)
    return [Key(t, v) for t, v in zip(times, (0.0, height, height, 0.0))]


# Syllables of the talking part: start, jaw, pucker, smile-like stretch.
SYLLABLES = (
    (0.55, 0.35, 0.00, 0.15), (0.80, 0.20, 0.45, 0.00), (1.05, 0.45, 0.00, 0.20), (1.32, 0.12, 0.00, 0.30),
    (1.55, 0.38, 0.30, 0.00), (1.82, 0.25, 0.00, 0.25), (2.05, 0.50, 0.10, 0.05), (2.35, 0.15, 0.55, 0.00),
)  # fmt: skip

CURVES: dict[str, list[Key]] = {
    "mouthSmile": _bump(2.8, 0.35, 0.75, 0.4, 0.65),
    "cheekSquint": _bump(2.85, 0.35, 0.65, 0.4, 0.3),
    "browInnerUp": _bump(4.1, 0.25, 0.55, 0.35, 0.9),
    "browOuterUp": _bump(4.1, 0.25, 0.55, 0.35, 0.75),
    "eyeWide": _bump(4.15, 0.2, 0.5, 0.3, 0.45),
    "mouthPucker": _bump(5.3, 0.25, 0.35, 0.3, 0.7),
    "jawOpen": _bump(6.2, 0.3, 0.4, 0.35, 0.75),
    "browDown": _bump(7.1, 0.2, 0.3, 0.25, 0.6),
}
"""Named expression curves; a name without side is both sides of the face."""

BLINKS = (0.3, 2.6, 4.95, 6.05, 7.55)
"""Seconds at which the eyes begin to close."""

HEAD = {  # degrees
    "yaw": [Key(0.0, 0), Key(2.6, 0), Key(3.5, 7), Key(4.6, -7), Key(5.8, 5), Key(7.4, 0)],
    "pitch": [Key(0.0, 0), Key(1.0, -2), Key(2.0, 1.5), Key(4.2, 4), Key(5.3, -2), Key(7.4, 0)],
    "roll": [Key(0.0, 0), Key(1.4, 2), Key(2.6, -2), Key(5.0, 3), Key(7.4, 0)],
}
GAZE = {  # degrees
    "yaw": [Key(0.0, 0), Key(4.9, 0), Key(5.1, 18), Key(5.8, 18), Key(6.0, -18), Key(6.7, -18), Key(6.9, 0)],
    "pitch": [
        Key(0.0, 0),
        Key(4.2, 0),
        Key(4.35, 10),
        Key(4.9, 10),
        Key(5.05, 0),
        Key(7.1, 0),
        Key(7.25, -8),
        Key(7.8, 0),
    ],
}


def scripted_performance(model, fps: float, seconds: float = SECONDS) -> Track:
    """The mean head talking, smiling, raising its brows, blinking, puckering; turning; looking around.

    It begins neutral, so that a mix takes its whole movement. Of ``seconds``, at ``fps`` frames a second.
    """
    times = np.arange(max(1, round(seconds * fps))) / fps
    names = model.expression_names
    expression = torch.zeros(len(times), len(names))

    def add(name: str, curve: np.ndarray) -> None:
        for full in (name, f"{name}Left", f"{name}Right"):
            if full in names:
                expression[:, names.index(full)] += torch.from_numpy(curve).float()

    for name, keys in CURVES.items():
        add(name, sample(keys, times))
    for start, jaw, pucker, stretch in SYLLABLES:
        for name, height in (("jawOpen", jaw), ("mouthPucker", pucker), ("mouthStretch", stretch)):
            add(name, sample(_bump(start, 0.11, 0.03, 0.13, height), times))
        add("mouthLowerDown", sample(_bump(start, 0.11, 0.03, 0.13, 0.4 * jaw), times))
    for start in BLINKS:
        add("eyeBlink", sample(_bump(start, 0.09, 0.06, 0.13, 1.0), times))

    yaw, pitch = (sample(GAZE[k], times) for k in ("yaw", "pitch"))
    gaze = torch.deg2rad(torch.from_numpy(np.stack([yaw, pitch], -1)).float())[:, None].expand(-1, 2, -1).clone()
    head = [math.radians(1) * sample(HEAD[k], times) for k in ("pitch", "yaw", "roll")]
    # axis-angle of small turns: about x (nodding down is positive there), y and z
    rotation = torch.from_numpy(np.stack([-head[0], head[1], head[2]], -1)).float()
    # A track lies on the CPU, wherever the model does.
    neutral = FaceParameters.neutral(model, (len(times),), focal=1.6 * SIZE, distance=700.0).to("cpu")
    parameters = neutral.replace(
        identity=neutral.identity[0],
        reflectance=neutral.reflectance[0],
        focal=neutral.focal[0],
        expression=couple_lids(model.blocks["expression"].clamp(expression), gaze, model),
        gaze=gaze,
        rotation=rotation,
        illumination=_soft_light(len(times)),
    )
    return Track(
        model=model.name,
        fingerprint=model.fingerprint,
        width=SIZE,
        height=SIZE,
        parameters=parameters,
        times=torch.from_numpy(times),
        status=torch.full((len(times),), int(FrameStatus.TRACKED)),
        confidence=torch.ones(len(times)),
        facts={"source": {"file": "scripted performance"}, "scripted": True},
    )


def sample(keys: list[Key], times: np.ndarray) -> np.ndarray:
    """A curve through its keys at these times: smooth steps between them, level beyond the ends."""
    at, values = np.array([k.time for k in keys]), np.array([k.value for k in keys])
    index = np.clip(np.searchsorted(at, times, side="right") - 1, 0, len(keys) - 2)
    share = np.clip((times - at[index]) / (at[index + 1] - at[index]), 0, 1)
    share = share * share * (3 - 2 * share)
    return values[index] + share * (values[index + 1] - values[index])


def _soft_light(frames: int) -> torch.Tensor:
    """(F, 9, 3): mostly even, a little from above and from the viewer's side."""
    light = torch.zeros(9, 3)
    light[0] = 0.62 / C0
    light[1], light[2], light[3] = 0.22, 0.42, 0.12
    return light.expand(frames, 9, 3).clone()
