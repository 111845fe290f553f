"""How far a fitted frame is to be trusted, and in words why not.

The confidence is the probability that a fit is good, by a logistic regression on two figures of `Fitter.judge`, neither
of which depends on exposure: how far light and dark of the drawn face go with the seen ones
(`fitting.energy.agreement`), and how far its landmarks are off. ``python -m benchmarks.trust`` calibrates it, on
synthetic people and on spoiled fits of real frames, and measures it on others. Errors of colour, visible share, the
solver's rest and the detector's own confidence were tried as well: they made it no better, and colours' worse for dark
skin. The figures are kept in the track, so that the reasons can be read off it later.
"""

from __future__ import annotations

import math

from facemodel.track import FrameStatus, Track
from fitting.landmarks.base import UPSIDE_DOWN
from fitting.observation.crop import Observation
from fitting.policy.confidence import ConfidencePolicy

FIGURES = ("landmarks", "correlation")


def face_brightness(seen: Observation) -> float:
    """Mean colour of an observation of one frame at the detector's landmarks, sRGB, of 255."""
    level = seen.levels[min(seen.levels)]
    points = (seen.landmarks - seen.corner[:, None]) * (level.size / seen.side)[:, None, None]
    known = points.isfinite().all(-1)
    return 255 * float(level.colours(points.nan_to_num())[0][known].mean())


def figures(energies: dict[str, float], policy: ConfidencePolicy = ConfidencePolicy()) -> tuple[float, ...]:
    """What speaks against a frame, in the order of `FIGURES`: 0 at a perfect fit; 0, too, for what isn't known.

    Args:
        energies: those of `Fitter.judge`, with ``detector``, the detector's own confidence.
    """
    known = {name: value for name, value in energies.items() if math.isfinite(value)}
    return (
        math.log1p(max(known.get("landmarks", 0.0), 0.0) / policy.exact),
        math.log1p(min(max(1 - known.get("correlation", 1.0), 0.0), 2.0) / policy.alike),
    )


def losses(energies: dict[str, float], policy: ConfidencePolicy = ConfidencePolicy()) -> dict[str, float]:
    """Log-odds that each figure takes from a perfect frame's, 0 or more."""
    return {name: -getattr(policy.calibration, name) * v for name, v in zip(FIGURES, figures(energies, policy))}


def confidence(energies: dict[str, float], policy: ConfidencePolicy = ConfidencePolicy()) -> float:
    """Probability of a good fit, 0 to 1; `UPSIDE_DOWN` of a face that stands on its head."""
    if energies.get("detector") == UPSIDE_DOWN:
        return UPSIDE_DOWN
    lacking = sum(losses(energies, policy).values()) - policy.calibration.perfect
    return 1 / (1 + math.exp(min(lacking, 700.0)))


def doubts(
    energies: dict[str, float],
    status: FrameStatus = FrameStatus.TRACKED,
    policy: ConfidencePolicy = ConfidencePolicy(),
) -> list[str]:
    """Why a frame is doubtful, the weightiest reason first; empty where there is nothing to say."""
    if not status & FrameStatus.TRACKED:
        return ["no face was found: the parameters are interpolated"]
    if energies.get("detector") == UPSIDE_DOWN:
        return ["the face seems to be upside down: the landmarks' network sees it better the other way up"]
    figure = lambda name: energies.get(name, float("nan"))  # noqa: E731
    words = {
        "landmarks": f"landmarks off by {figure('landmarks'):.1%} of the face's size",
        "correlation": "light and dark of the face lie elsewhere than in the picture "
        f"(correlation {figure('correlation'):.2f}, colours off by {figure('photometric'):.0f} of 255)",
    }
    found = sorted(losses(energies, policy).items(), key=lambda f: -f[1])
    sure = confidence(energies, policy) > policy.sure
    worth = math.inf if sure else policy.telling * sum(loss for _, loss in found)
    told = [words[name] for name, loss in found if loss > worth]
    if status & FrameStatus.UNCERTAIN and not told:
        told = [words[found[0][0]]]
    if status & FrameStatus.SEVERAL_FACES:
        told.append("several faces: it may be another one's")
    return told


def frame_doubts(track: Track, index: int) -> list[str]:
    """`doubts` of a track's frame."""
    energies = {name: float(values[index]) for name, values in track.energies.items() if values[index].isfinite()}
    hidden = [part.replace("_", " ") for part in track.visibility if track.hidden(part)[index]]
    said = [f"hidden, and so as at rest: {', '.join(hidden)}"] if hidden else []
    return doubts(energies, FrameStatus(int(track.status[index]))) + said
