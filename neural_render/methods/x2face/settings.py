"""What a training of X2Face is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foundation.errors import PortraitError
from neural_render.losses.objective import check_losses
from neural_render.losses.perceptual import find_weights
from neural_render.methods.base import TrainingBudget, option

SIZES = (64, 128, 256)


@dataclass(frozen=True)
class Options(TrainingBudget):
    """What a user decides."""

    size: int = option(64, "px of the networks' pictures: 64, 128 or 256 (the paper's)")
    width: int = option(16, "channels of their first layers; the paper's have 64")
    losses: Mapping[str, float] = option({}, "weights of losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for 'perceptual' and stage II; none: torchvision's cache")
    stage_two_after: int | None = option(None, "steps of stage I, after which VGG judges who is seen; none: I alone")
    units: bool = option(False, "action units among the codes that drive, beside the head's angles; clips are fitted")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in SIZES:
            raise PortraitError(f"size: expected {', '.join(map(str, SIZES))}, got {self.size}")
        if self.width < 4:
            raise PortraitError(f"width: expected at least 4, got {self.width}")
        if self.stage_two_after is not None:
            if self.stage_two_after < 0:
                raise PortraitError(f"stage-two-after: expected at least 0 steps, got {self.stage_two_after}")
            find_weights(self.vgg)
        check_losses(self.losses, {"vgg": self.vgg})


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of steps, but for the data."""

    size: int = 64
    width: int = 16
    sources: int = 3  # pictures of a person a step, at most: 1, 2, ... in turn
    batch: int = 16
    rate: float = 1e-3  # Adam's; the released code has SGD of the same rate and a momentum of 0.9
    second_rate: float = 1e-4  # in stage II
    ema: float = 0.995  # decay of the averaged networks, which are the ones that are kept
    clip: float = 0.0  # largest norm of the gradient; 0 doesn't clip
    # by names of `losses.base.LOSSES`
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 1.0, "pyramid": 1.0})
    vgg: str | None = None
    stage_two_after: int | None = None
    content: float = 0.1  # weight of each of stage II's two losses
    bfloat16: bool = False
    seed: int = 0
