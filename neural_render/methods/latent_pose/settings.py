"""What a training of latent pose descriptors is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foundation.errors import PortraitError
from neural_render.losses.objective import check_losses
from neural_render.methods.base import TrainingBudget, option

SIZES, WIDTHS = (64, 128, 256), (16, 32, 64)


@dataclass(frozen=True)
class Options(TrainingBudget):
    """What a user decides. An adaptation reads none but the budget's and ``losses``: the rest is its weights'."""

    size: int = option(64, "px of the networks' pictures: 64, 128 or 256 (the paper's)")
    width: int = option(16, "channels at full size: 16, 32 or 64 (the paper's)")
    pose: int = option(64, "numbers of a pose's code; the paper's has 256")
    pictures: int = option(1, "of a person, to learn from together; the paper's has 8")
    losses: Mapping[str, float] = option({}, "weights of losses by name, in place of the method's own")
    vgg: str | None = option(None, "file of VGG-16's weights, for the loss 'perceptual'; none is torchvision's cache")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("size", SIZES), ("width", WIDTHS)):
            if getattr(self, name) not in known:
                raise PortraitError(f"{name}: expected {', '.join(map(str, known))}, got {getattr(self, name)}")
        for name in ("pose", "pictures"):
            if getattr(self, name) < 1:
                raise PortraitError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.batch == 1:
            raise PortraitError("batch: expected at least 2, got 1; codes are normalised over it")
        check_losses(self.losses, {"vgg": self.vgg})


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of steps, but for the data."""

    size: int = 64
    width: int = 16
    pose: int = 64
    pictures: int = 1
    batch: int = 8
    rate: float = 1e-3  # Adam's, of encoders and generator; the paper's is 5e-5, for 2.5 million steps
    rate_discriminator: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    epsilon: float = 1e-8
    # by names of `losses.base.LOSSES`
    losses: dict[str, float] = field(
        default_factory=lambda: {"l1": 30.0, "pyramid": 10.0, "adversarial": 1.0, "feature-matching": 10.0}
    )
    vgg: str | None = None
    dice: float = 1.0
    adversarial_after: int = 3000  # steps without the discriminator at the start
    match: float = 0.01  # of L1 between a person's code and the discriminator's embedding
    ema: float = 0.995  # decay of the averaged networks, which are what is kept
    clip: float = 0.0
    bfloat16: bool = False
    seed: int = 0

    @property
    def loss_options(self) -> dict:
        return {"adversarial": "hinge", "vgg": self.vgg}
