"""What a frame's confidence is made of, and when it's worth a word (`fitting.tracking.confidence`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """Log-odds of a good fit: of a perfect frame, and what each of `fitting.tracking.confidence.figures` adds a unit.

    As ``python -m benchmarks.trust`` chooses them.
    """

    perfect: float = 2.69
    landmarks: float = -0.3
    correlation: float = -1.95


@dataclass(frozen=True)
class ConfidencePolicy:
    calibration: Calibration = Calibration()
    exact: float = 0.01  # of the face's size: landmarks nearer than that are hardly off
    alike: float = 0.05  # one minus the correlation that more adds little to: noise, colours that the model hasn't
    doubtful: float = 0.4  # confidence below which a frame is marked uncertain
    sure: float = 0.7  # confidence above which there is nothing to say
    telling: float = 0.2  # share of the log-odds that a frame lacks: a reason worth a word
