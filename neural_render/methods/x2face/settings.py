"""All that decides a training of X2Face beside its data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    size: int = 64  # px of the networks' pictures
    width: int = 16  # channels of their first layers; the paper's have 64
    sources: int = 3  # pictures of a person a step, at most: 1, 2, ... in turn
    batch: int = 16
    rate: float = 1e-3  # Adam's
    ema: float = 0.995
    clip: float = 0.0
    # by names of `losses.base.LOSSES`
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 1.0, "pyramid": 1.0})
    stage_two_after: int | None = None  # steps of stage I; None for that alone
    content: float = 0.1  # weight of each of stage II's two losses
    stage_two_rate: float = 1e-4
    vgg: str | None = None  # file of VGG-16's weights; None is torchvision's cache
    seed: int = 0
    bfloat16: bool = False
