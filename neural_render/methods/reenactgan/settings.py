"""All that decides a training of ReenactGAN beside its data."""

from __future__ import annotations

from dataclasses import dataclass

COMPONENTS = 3  # of landmarks, which the shape loss compares: how a head is turned, more than whose it is


@dataclass(frozen=True)
class Settings:
    size: int = 64  # px of the pictures
    width: int = 16  # channels of the first layers; the paper's have 64, and its hourglasses 256
    batch: int = 8
    moved: int = 64  # faces a step of whose points alone the transformer learns
    encoder_rate: float = 1e-3  # Adam's
    transformer_rate: float = 1e-3  # the paper's is 2e-4, for days
    rate: float = 2e-4
    judge_rate: float = 1e-4
    ema: float = 0.99
    clip: float = 0.0
    truth: float = 100.0  # of L1 to the true boundary, in a corpus where people do the same
    points: float = 100.0  # and to the points that its lines go through
    cycle: float = 10.0  # weights of the transformer's losses beside the adversarial one
    shape: float = 10.0
    l1: float = 100.0  # of the decoder's
    perceptual: float = 10.0  # where VGG-16's weights are there
    turn: float = 20.0  # degrees by which boundaries are turned at random, at most
    shift: float = 0.16  # of the crop's 2
    zoom: float = 0.1
    vgg: str | None = None  # file of VGG-16's weights; None is torchvision's cache
    bfloat16: bool = False
    seed: int = 0

    @property
    def side(self) -> int:
        """Px of a boundary's maps: a quarter of the picture, but 32 at least."""
        return max(self.size // 4, 32)
