"""How much work a fit does, and how its terms weigh."""

from __future__ import annotations

from dataclasses import dataclass, field

from fitting.energy.priors import Priors
from fitting.energy.terms import Weights


@dataclass(frozen=True)
class Settings:
    """The defaults are those of the "balanced" quality; docs/accuracy.md shows what each costs and gives."""

    samples: int = 1000
    levels: tuple[int, ...] = (64, 128)  # px of the face's square, coarse to fine
    landmark_steps: int = 1  # before the photometric term joins
    steps: tuple[int, ...] = (1, 1)  # a level, while tracking
    joint_levels: tuple[int, ...] = (64, 128, 256)  # px, over the key frames
    joint_steps: tuple[int, ...] = (4, 4, 5)  # a level
    key_frames: int = 8
    weights: Weights = field(default_factory=Weights)
    # The detector errs alike in every frame, towards an average face, so it says less of what the frames share.
    joint_weights: Weights = field(default_factory=lambda: Weights(colour=2000.0, landmarks=100.0, brows=0.0))
    priors: Priors = field(default_factory=Priors)


_TRUSTING = Weights(colour=3000.0, landmarks=20.0, pairs=20.0, brows=0.0)

QUALITIES = {
    "fast": Settings(samples=700, levels=(64,), steps=(2,), joint_levels=(64, 128), joint_steps=(4, 4), key_frames=6),
    "balanced": Settings(),
    "best": Settings(
        samples=3000,
        levels=(64, 128, 256),
        steps=(2, 2, 2),
        joint_steps=(6, 6, 8),
        key_frames=12,
        joint_weights=_TRUSTING,
    ),
}
