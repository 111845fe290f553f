"""How much each term of the energy counts, and what is known before looking: numbers only.

Read by the terms (`fitting.energy`); `fitting.policy.settings.Settings` holds them. What a model says of its own
coefficients (bounds, mean, standard deviation) isn't here but in its blocks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TermWeights:
    """How much each data term counts. A term counts as many independent measurements as its weight says."""

    colour: float = 300.0
    colour_scale: float = 0.06  # of 1; residuals well above it are taken for occluders
    least_seen: float = 0.05  # share of the samples that the colour term's weight is spread over at least
    landmarks: float = 160.0
    landmark_scale: float = 0.015  # of the face's size
    pairs: float = 60.0  # openings of lids and lips
    brows: float = 30.0  # their heights over the corners of the eyes
    pair_scale: float = 0.006  # of the face's size, of both


@dataclass(frozen=True)
class Priors:
    """Standard deviations of what isn't the model's own."""

    size: float = 0.04  # relative, of grown-ups' heads; a picture tells nothing of it, and the model's have all ages
    people_rest: float = 0.2  # variance of an identity coefficient beyond the directions that were measured
    at_rest: float = 0.1  # rate of an expression's exponential distribution, a standard deviation; of a face alone
    detail: float = 0.35  # linear RGB, of a sample's own albedo; each sample counts as the photometric term counts it
    log_focal: float = 0.25
    light_strength: tuple[float, float] = (0.75, 0.15)  # radiance of a white surface in even light: mean and std
    light_shape: float = 0.4  # of each band above the constant one, over the constant one
    light_colour: float = 0.25  # difference between colour channels, over the constant band
    dimmest: float = 0.02  # constant coefficient of a light in a shadow, at least
    gaze: float = 0.4  # rad
    gaze_yaw_difference: float = 0.08  # rad, between the eyes
    gaze_pitch_difference: float = 0.03
    # From one frame to the next at 30 frames a second; growing with the square root of the time between.
    step_rotation: float = 0.013  # rad
    step_translation: float = 4.0  # mm
    step_motion: float = 0.08 / 0.45  # of an expression's or a joint's own standard deviation
    step_gaze: float = 0.15  # rad
    step_light: float = 0.01  # over the constant band
