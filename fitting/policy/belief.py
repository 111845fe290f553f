"""How far a clip's colours are believed.

On most skin the reflectance leaves moles, beards and shadows unexplained, and the colour term has to be lenient. But
where a face is found that explains the colours but for noise, each colour counts for more, samples need no albedo of
their own, biased landmarks hardly count, and the eyes' pixels say more about the gaze than landmarks do. Whether there
is such a face is tried: see `fitting.tracking.shared`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from fitting.energy.terms import Weights
from fitting.policy.settings import Settings
from fitting.solver.state import FitState

CLEAN_SCALE = 0.01  # of 1: scale of the robust colour term
CLEAN_DETAIL = 0.0025  # linear RGB: deviation of a sample's own albedo
MOVING = 0.5  # share of the way there while tracking
CLEAN_LANDMARKS = 0.05  # share of the landmarks' weights that is left
GAZE, CLEAN_GAZE = 0.03, 0.12  # rad: how far the landmarks' gaze is taken to be off


@dataclass(frozen=True)
class Limits:
    """Up to where colours pass for explained."""

    coarse: float  # colour error, of 1, of a coarse solution worth the trial
    fine: float  # the same of one that passes
    odd: float  # see `oddness`


OF_ALL = Limits(0.0135, 0.008, 2.0)
OF_PART = Limits(0.0135, 0.0075, 2.0)  # of the part that is not hidden, which is easier to explain
IN_TWO_LIGHTS = Limits(0.0065, 0.0075, 1.35)  # of what is partly in a cast shadow: two lights explain more
NOISE_OF_PIXELS = 0.0155  # of 1, that a camera leaves of small pictures (`fitting.small`)
USUAL = 0.2, 0.75  # see `oddness`
BY_PIXELS = 1.4, 1.0  # where every pixel counts, coefficients of the reflectance are as large as people's are: 1


def oddness(state: FitState, most: tuple[float, float] = USUAL) -> float:
    """How far a skin and a light are from what people have, 0 to 2; infinite where nobody has the one or the other.

    On an evenly lit photograph 80 coefficients of reflectance and 27 of light can explain all colours, by an orange
    skin with blue brows under a light from nowhere. Of people drawn from the model none has a mean square of the
    reflectance's coefficients above the first of ``most``, for a picture tells little of each, or bands of light above
    the constant one that come to more than the second of it; of such photographs, larger than `LARGE_ALONE`, all have.
    Under two lights all have both to a degree that few of the drawn people have. Of 21 photographs reduced to 40 px and
    explained pixel by pixel, each stays within one at most of the two limits `BY_PIXELS` and that of the noise, drawn
    people within all three.
    """
    most_tinted, most_uneven = most
    uneven = float((state.light[:, 1:].norm(dim=1) / state.light[:, 0].abs().clamp_min(1e-6)).mean()) / most_uneven
    tinted = float(state.reflectance.square().mean()) / most_tinted
    return tinted + uneven if max(tinted, uneven) < 1 else math.inf


@dataclass(frozen=True)
class Belief:
    still: Weights  # of a frame that is begun with from its solution as a key frame
    moving: Weights  # of other frames, which landmarks bring near enough for the colours to tell more
    joint_weights: Weights  # over the key frames
    detail: float  # standard deviation of a sample's own albedo
    gaze: float  # rad, that of the landmarks' gaze

    @classmethod
    def of(cls, settings: Settings, believed: float) -> Belief:
        """``believed``: 0 as usual, 1 where colours are explained but for noise; between them on the way there."""
        between = lambda usual, clean: usual * (clean / usual) ** believed  # noqa: E731

        def weights(w: Weights, part: float = 1.0) -> Weights:
            share = CLEAN_LANDMARKS ** (part * believed)
            scale = w.colour_scale * (CLEAN_SCALE / w.colour_scale) ** (part * believed)
            return replace(
                w, colour_scale=scale, landmarks=share * w.landmarks, pairs=share * w.pairs, brows=share * w.brows
            )

        return cls(
            weights(settings.weights),
            weights(settings.weights, MOVING),
            weights(settings.joint_weights),
            between(settings.priors.detail, CLEAN_DETAIL),
            between(GAZE, CLEAN_GAZE),
        )
