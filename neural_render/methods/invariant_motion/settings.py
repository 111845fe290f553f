"""What a training of identity-invariant motion is told."""

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
    width: int = option(24, "channels of the generator's first layer")
    frames: int = option(4, "of a sequence to learn from")
    motion: int = option(32, "numbers of a frame's motion code")
    temporal: bool = option(True, "a discriminator of sequences, beside the one of pictures")
    losses: Mapping[str, float] = option({}, "weights of losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for the loss 'perceptual'; none is torchvision's cache")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in SIZES:
            raise PortraitError(f"size: expected {', '.join(map(str, SIZES))}, got {self.size}")
        for name, least in (("width", 4), ("frames", 2), ("motion", 1)):
            if getattr(self, name) < least:
                raise PortraitError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        check_losses(self.losses, {"vgg": self.vgg})


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of steps, but for the data."""

    size: int = 64
    width: int = 24
    frames: int = 4
    motion: int = 32
    temporal: bool = True
    batch: int = 4  # sequences that pictures are made of
    wide: int = 48  # sequences whose landmarks alone are looked at; those are cheap
    rate: float = 1e-3  # Adam's, of encoders and generator
    rate_discriminators: float = 5e-4
    beta1: float = 0.5
    beta2: float = 0.999
    # by names of `losses.base.LOSSES`
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 10.0, "pyramid": 10.0})
    vgg: str | None = None
    landmarks: float = 30.0  # of how far landmarks come from the truth's
    adversarial: float = 0.1  # of each discriminator's share: of pictures, of sequences, of who it is
    matching: float = 10.0  # of D_tmp's features against the true sequence's, where there is one
    anonymous: float = 0.2  # of how far the classifier of people is from knowing nothing
    alike: float = 0.2  # of telling one moment, done by two people, from the others
    temperature: float = 0.1  # of that
    adversarial_after: int = 200  # steps without discriminators of pictures at the start
    ema: float = 0.995  # decay of the averaged networks, which are what is kept
    clip: float = 0.0
    bfloat16: bool = False
    seed: int = 0
