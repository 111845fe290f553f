"""What decides the result of a training of UV completion, but for the data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """The paper doesn't give its loss weights; L1 to adversarial is pix2pix's ratio."""

    size: int = 128  # texels a side
    width: int = 32  # channels of the first layer
    batch: int = 8
    rate: float = 3e-4  # Adam's
    beta1: float = 0.5
    beta2: float = 0.99
    clip: float = 1.0  # largest norm of a network's gradient; 0 doesn't clip
    # l1; adversarial: both discriminators' share; identity: 1 - cosine of embeddings, where one is given
    losses: dict[str, float] = field(
        default_factory=lambda: {"l1": 100.0, "global": 0.3, "local": 0.3, "identity": 0.0}
    )
    seen_weight: float = 0.1  # how much L1 counts where a texel is seen, against 1 in a hole
    adversarial: str = "non-saturating"
    adversarial_after: int = 300  # steps without discriminators at the start
    jitter: float = 0.15  # standard deviation of the logarithm of the light that a texture is multiplied by
    occluders: float = 0.3  # share of samples with a hole of another kind, as hair and hands make them
    noise: float = 0.2  # standard deviation of the noise in the holes
    ema: float = 0.998  # decay of the averaged generator, which is the one that is kept
    norm: str = "group"
    held_out: float = 0.0  # share of the people kept out, to score the training by
    bfloat16: bool = False
    seed: int = 0
