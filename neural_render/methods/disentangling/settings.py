"""What a training of the disentangling networks is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foundation.errors import PortraitError
from neural_render.losses.objective import check_losses
from neural_render.methods.base import TrainingBudget, option

SIZES = (64, 128, 256)


@dataclass(frozen=True)
class Options(TrainingBudget):
    """What a user decides."""

    size: int = option(64, "px of the networks' pictures: 64, 128 or 256")
    width: int = option(16, "channels of their first layers; 64 is full")
    losses: Mapping[str, float] = option({}, "weights of losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for the loss 'perceptual'; none: torchvision's cache")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in SIZES:
            raise PortraitError(f"size: expected {', '.join(map(str, SIZES))}, got {self.size}")
        if self.width < 4:
            raise PortraitError(f"width: expected at least 4, got {self.width}")
        check_losses(self.losses, {"vgg": self.vgg})


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of steps, but for the data."""

    size: int = 64
    width: int = 16
    sources: int = 2  # pictures that a face is embedded from, at most: 1, 2, ... in turn
    batch: int = 16
    rate: float = 1e-3  # Adam's, of the networks
    rate_discriminator: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    ema: float = 0.995  # decay of the averaged networks, which are the ones that are kept
    clip: float = 0.0  # largest norm of a network's gradient; 0 doesn't clip
    # by names of `losses.base.LOSSES`
    losses: dict[str, float] = field(
        default_factory=lambda: {"l1": 1.0, "pyramid": 1.0, "adversarial": 0.02, "feature-matching": 0.2}
    )
    generator_after: int = 600  # steps in which the deforming networks learn alone
    adversarial_after: int = 2000  # steps without those losses that need a discriminator
    embedded: float = 0.5  # weight of L1 between the faces embedded from different pictures of a person
    smooth: float = 0.1  # weight of the finest flow's total variation
    vgg: str | None = None
    bfloat16: bool = False
    seed: int = 0
