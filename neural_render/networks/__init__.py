"""Networks that make pictures, and the blocks they are built from."""

from neural_render.networks.blocks import DownModule, RefinementUnit, UpModule, fold_norms, initialize_normal, make_norm
from neural_render.networks.hourglass import StackedHourglass
from neural_render.networks.modulation import SPADE, AdaIN, adain
from neural_render.networks.norms import SharedBatchNorm2d, add_spectral_norm
from neural_render.networks.patchgan import MultiScaleDiscriminator, PatchDiscriminator
from neural_render.networks.resnet import ResidualBlock, ResNetGenerator
from neural_render.networks.unet import RefinementUNet
from neural_render.networks.warp import identity_grid, warp

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
    "StackedHourglass",
    "UpModule",
    "adain",
    "add_spectral_norm",
    "fold_norms",
    "identity_grid",
    "initialize_normal",
    "make_norm",
    "warp",
]
