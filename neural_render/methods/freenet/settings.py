"""All that decides a training of FReeNet beside its data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    size: int = 64  # px of the network's pictures
    width: int = 16  # channels of the generator's first layer; the paper's has 64
    points: int = 256  # width of the landmark converter's layers; the paper's have 512
    batch: int = 8  # pictures a step
    converted: int = 64  # landmarks a step of the converter
    rate: float = 2e-4  # Adam's
    converter_rate: float = 1e-3  # the paper's is 3e-4, for points in pixels
    ema: float = 0.995
    clip: float = 0.0
    # The generator's, by names of `losses.base.LOSSES`; "triplet" beside them where VGG-16 is there.
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 100.0, "adversarial": 0.1})
    triplet: float = 0.1
    # The converter's: the truth, there and back, a person's own landmarks, and its two judges.
    conversion: dict[str, float] = field(
        default_factory=lambda: {"truth": 100.0, "cycle": 10.0, "own": 10.0, "realness": 0.1, "likeness": 0.1}
    )
    vgg: str | None = None  # file of VGG-16's weights; None is torchvision's cache
    bfloat16: bool = False
    seed: int = 0
