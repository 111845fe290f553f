"""What a training of GANimation is told."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.errors import PortraitError
from neural_render.methods.base import TrainingBudget, option

SIZES = (64, 128, 256)


@dataclass(frozen=True)
class Options(TrainingBudget):
    """What a user decides."""

    size: int = option(64, "px of the network's pictures: 64, 128 (the paper's) or 256")
    width: int = option(16, "channels of the generator's first layer; the paper's has 64")
    critic: int = option(16, "of the reader's and the judge's, which cost less; the paper's critic has 64")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in SIZES:
            raise PortraitError(f"size: expected {', '.join(map(str, SIZES))}, got {self.size}")
        for name in ("width", "critic"):
            if getattr(self, name) < 4:
                raise PortraitError(f"{name}: expected at least 4, got {getattr(self, name)}")


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of steps, but for the data. A step is one of the judge."""

    size: int = 64
    width: int = 16
    critic: int = 16
    batch: int = 6  # the paper's is 25
    more: int = 40  # pictures whose units the reader learns from in a step
    rate: float = 8e-4  # Adam's, of the generator; the paper's is 1e-4
    judge_rate: float = 4e-4
    reader_rate: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.999
    units_first: int = 500  # steps at the start in which the reader learns, and nothing else is done
    units_every: int = 8  # steps after that from one in which it goes on to the next
    critic_steps: int = 1  # for each of the generator's; the paper has 5
    penalty: float = 10.0  # weight of the judge's gradient penalty; its score's is 1 there
    score: float = 0.5  # weight of the judge's score in what the generator learns; the paper's is 1
    units: float = 20.0  # of the squared error of units, in deviations; the released code's come to 2
    cycle: float = 2.0  # of L1 between a picture and its edit undone; the paper's is 10
    open: float = 0.1  # of how much isn't kept, on average
    smooth: float = 2.5e-4  # of a mask's summed differences; the released code's 1e-5 times its batch
    noise: float = 0.1  # wanted units are somebody's, up to so much more or less
    some: float = 0.5  # of the wanted, in which only some units are somebody else's, and the others stay
    clip: float = 0.0  # largest norm of a network's gradient; 0 doesn't clip
    ema: float = 0.99  # decay of the averaged generator, which is the one that is kept
    bfloat16: bool = False
    seed: int = 0
