"""All that decides a training of Deep Video Portraits beside its options."""

from __future__ import annotations

from dataclasses import dataclass, field

from neural_render.methods.deep_video_portraits.conditioning import WINDOW


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a number of training steps, but for the data."""

    size: int = 128  # px of the network's images
    width: int = 32  # channels of the first layer; the paper's network has 64
    window: int = WINDOW  # frames a condition
    textured: bool = False  # the person's texture as a fourth map
    texels: int = 2  # of that, a side for each px of the network's images
    textures: int = 12  # frames that it is merged from
    batch: int = 2  # small: on one clip more steps go further than larger ones
    rate: float = 2e-4  # Adam's
    boost: float = 5.0  # the generator's rate begins so many times higher and halves its excess every
    boost_steps: int = 1000  # steps
    beta1: float = 0.5
    beta2: float = 0.999
    clip: float = 0.0  # largest norm of a network's gradient; 0 doesn't clip
    # by names of `losses.base.LOSSES`
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 100.0, "adversarial": 1.0})
    face_weight: float = 2.0  # how much more than elsewhere L1 counts where the model is seen
    eye_weight: float = 4.0  # and, beyond that, where its eyes are, lids and brows included
    mouth_weight: float = 0.0  # and where its mouth is
    adversarial: str = "non-saturating"
    adversarial_after: int = 100  # steps without the losses that need a discriminator at the start
    vgg: str | None = None  # file of VGG-16's weights for the loss "perceptual"; None is torchvision's cache
    ema: float = 0.999  # decay of the averaged generator, which is the one that is kept
    norm: str = "batch"
    dropout: float = 0.5
    background: bool = True  # a learned image beneath the network's output, begun as the clip's median
    shift: float = 0.0  # random shifts of condition and image, up to that share of the side
    scale: float = 0.0  # and random scalings by up to that factor more or less
    warped_every: int = 3  # every so many-th step is on warped pictures (``warping``), L1 alone; 0 for none
    held_out: float = 0.0  # share of the frames kept out, to score the training by
    bfloat16: bool = False
    seed: int = 0

    @property
    def loss_options(self) -> dict:
        """What the losses are told."""
        return {"adversarial": self.adversarial, "vgg": self.vgg}
