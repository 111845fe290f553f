"""How far a clip's colours are believed.

On most skin the reflectance leaves moles, beards and shadows unexplained, and the colour term has to be lenient. But
where a face is found that explains the colours but for noise, each colour counts for more, samples need no albedo of
their own, biased landmarks hardly count, and the eyes' pixels say more about the gaze than landmarks do. Whether there
is such a face is tried: see `Fitter.solve_shared`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .energy import Weights
from .settings import Settings

POSSIBLE, CLEAN = 0.0135, 0.008  # colour error, of 1: of a coarse solution worth the trial, of one that passes
CLEAN_OF_SKIN = 0.007  # the same of one that has to explain only what a network takes for skin
CLEAN_SCALE = 0.01  # of 1: scale of the robust colour term
CLEAN_DETAIL = 0.0025  # linear RGB: deviation of a sample's own albedo
MOVING = 0.5  # share of the way there while tracking
CLEAN_LANDMARKS = 0.05  # share of the landmarks' weights that is left
GAZE, CLEAN_GAZE = 0.03, 0.12  # rad: how far the landmarks' gaze is taken to be off


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
