"""Networks that make pictures, and the blocks they are built from."""

from .blocks import DownModule, RefinementUnit, UpModule, fold_norms, initialize_normal, make_norm
from .patchgan import PatchDiscriminator
from .unet import RefinementUNet

__all__ = [
    "DownModule",
    "PatchDiscriminator",
    "RefinementUNet",
    "RefinementUnit",
    "UpModule",
    "fold_norms",
    "initialize_normal",
    "make_norm",
]
