"""Networks that make pictures, and the blocks they are built from."""

from .blocks import DownModule, RefinementUnit, UpModule, fold_norms, initialize_normal, make_norm
from .modulation import SPADE, AdaIN, adain
from .norms import SharedBatchNorm2d, add_spectral_norm
from .patchgan import MultiScaleDiscriminator, PatchDiscriminator
from .resnet import ResidualBlock, ResNetGenerator
from .unet import RefinementUNet
from .warp import identity_grid, warp

__all__ = [
    "SPADE",
    "AdaIN",
    "DownModule",
    "MultiScaleDiscriminator",
    "PatchDiscriminator",
    "RefinementUNet",
    "RefinementUnit",
    "ResNetGenerator",
    "ResidualBlock",
    "SharedBatchNorm2d",
    "UpModule",
    "adain",
    "add_spectral_norm",
    "fold_norms",
    "identity_grid",
    "initialize_normal",
    "make_norm",
    "warp",
]
