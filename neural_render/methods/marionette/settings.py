"""All that decides a training of MarioNETte beside its data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    size: int = 64  # px of the pictures
    width: int = 16  # channels of the first layers; the paper's have 64
    targets: int = 3  # pictures of a target a step, at most: 1, 2, ... in turn
    batch: int = 8
    rate: float = 8e-4  # Adam's; the paper's is 5e-5
    judge_rate: float = 2e-4
    landmark_rate: float = 3e-4
    ema: float = 0.995
    clip: float = 0.0
    # by names of `losses.base.LOSSES`; "perceptual" beside them where VGG-16 is there
    losses: dict[str, float] = field(
        default_factory=lambda: {"l1": 30.0, "pyramid": 10.0, "adversarial": 1.0, "feature-matching": 10.0}
    )
    perceptual: float = 10.0
    adversarial_after: int = 1500  # steps without the discriminator at the start
    vgg: str | None = None  # file of VGG-16's weights; None is torchvision's cache
    bfloat16: bool = False
    seed: int = 0

    @property
    def loss_options(self) -> dict:
        return {"adversarial": "hinge", "vgg": self.vgg}
