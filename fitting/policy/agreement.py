"""What decides how well a fitted face agrees with a picture (`fitting.energy.agreement`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AgreementPolicy:
    """Colours are sRGB, of 1."""

    every: int = 3  # each so-manieth sample is looked at: more don't make the figures another's, and take longer
    grey: float = 4 / 255  # a picture whose channels differ less, root mean square, is grey film's
    floor: float = 2 / 255  # what a camera's noise and eight bits leave of any colour
    noise: float = 1.5 / 255  # standard deviation of a sample's noise, compression and rounding, about
    signal: float = 0.2  # share of the seen variance that is no noise at least
    explained: float = 0.4  # share of the points that are to be explained: others may be hidden, or in a cast shadow
    robust: float = 1.907  # a standard deviation over that quantile of absolute errors
    outlying: float = 0.03  # of the face's brightness: errors from which on a point counts for less
    rounds: int = 6  # of reweighting
