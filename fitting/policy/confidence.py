"""How far a fitted frame is to be trusted, and in words why not.

Each thing that speaks against a frame is a factor from 1 (nothing to say) to 0 (worthless); the confidence is their
product. The figures come from `Fitter.track`, and are kept in the track, so that the reasons can be read off it later.
"""

from __future__ import annotations

import numpy as np

from facemodel.track import FrameStatus, Track
from fitting.landmarks.base import UPSIDE_DOWN
from fitting.observation.crop import Observation

DOUBTFUL = 0.4  # confidence below which a frame is marked uncertain
TELLING = 0.8  # a factor below is a reason worth a word
WORST_LANDMARKS = 0.08  # of the face's size: landmarks that are off by so much say that the face isn't there
WORST_COLOURS = 0.6  # of the face's own brightness: what is left where the fitted face has nothing of the seen one
DARK = 25.0  # of 255: a darker face is hardly more than the camera's noise
ENOUGH_VISIBLE = 0.75  # of the face's samples; a face turned by 45 degrees shows about so many


def face_brightness(seen: Observation) -> float:
    """Mean colour of an observation of one frame at the detector's landmarks, sRGB, of 255."""
    level = seen.levels[min(seen.levels)]
    points = (seen.landmarks - seen.corner[:, None]) * (level.size / seen.side)[:, None, None]
    known = points.isfinite().all(-1)
    return 255 * float(level.sample(points.nan_to_num())[0][known].mean())


def factors(energies: dict[str, float]) -> dict[str, float]:
    """What each figure leaves of the confidence, 0 to 1 each; figures that aren't there leave all of it.

    Args:
        energies: those of `Fitter.track`, with ``brightness`` (`face_brightness`) and ``detector``, the detector's own
            confidence.
    """
    brightness = energies.get("brightness", 255.0)
    colours = energies.get("photometric", 0.0) / max(WORST_COLOURS * brightness, 1.0)
    values = {
        "landmarks": 1 - energies.get("landmarks", 0.0) / WORST_LANDMARKS,
        "colours": 1 - colours,
        "darkness": brightness / DARK,
        "visible": energies.get("visible", 1.0) / ENOUGH_VISIBLE,
        "converged": 1.0 if energies.get("converged", 1.0) else 0.5,
        "detector": energies.get("detector", 1.0),
    }
    return {name: float(np.clip(value, 0, 1)) for name, value in values.items()}


def confidence(energies: dict[str, float]) -> float:
    """From 1, at a perfect fit, to 0; see `factors`."""
    return float(np.prod(list(factors(energies).values())))


def doubts(energies: dict[str, float], status: FrameStatus = FrameStatus.TRACKED) -> list[str]:
    """Why a frame is doubtful, the weightiest reason first; empty where there is nothing to say."""
    if not status & FrameStatus.TRACKED:
        return ["no face was found: the parameters are interpolated"]
    if energies.get("detector") == UPSIDE_DOWN:
        return ["the face seems to be upside down: the detector sees it better the other way up"]
    figure = lambda name: energies.get(name, float("nan"))  # noqa: E731
    words = {
        "landmarks": f"landmarks off by {figure('landmarks'):.1%} of the face's size",
        "colours": f"colours off by {figure('photometric'):.0f} of 255, in a face of {figure('brightness'):.0f}",
        "darkness": f"the face is nearly black: {figure('brightness'):.0f} of 255",
        "visible": f"only {figure('visible'):.0%} of the face is visible",
        "converged": "the solver had not come to rest",
        "detector": f"the detector is sure of a face by {figure('detector'):.0%} only",
    }
    found = sorted(factors(energies).items(), key=lambda f: f[1])
    told = [words[name] for name, factor in found if factor < TELLING]
    if status & FrameStatus.UNCERTAIN and not told:
        told = [words[found[0][0]]]
    if status & FrameStatus.SEVERAL_FACES:
        told.append("several faces: it may be another one's")
    return told


def frame_doubts(track: Track, index: int) -> list[str]:
    """`doubts` of a track's frame."""
    energies = {name: float(values[index]) for name, values in track.energies.items() if values[index].isfinite()}
    return doubts(energies, FrameStatus(int(track.status[index])))
