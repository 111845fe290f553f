"""Camera, rasterisation, shading, conditioning maps and UV unwrapping."""

from .camera import Camera, axis_angle, opencv_extrinsics, project, rotation_matrix, to_camera
from .color import linear_to_srgb, srgb_to_linear
from .fragments import Fragments
from .interpolation import interpolate
from .lighting import sh_basis, shade
from .maps import MAPS, render
from .overlays import overlay
from .rasterizer import rasterize
from .scene import correspondence_colors
from .unwrapping import unwrap

__all__ = [
    "MAPS",
    "Camera",
    "Fragments",
    "axis_angle",
    "correspondence_colors",
    "interpolate",
    "linear_to_srgb",
    "opencv_extrinsics",
    "overlay",
    "project",
    "rasterize",
    "render",
    "rotation_matrix",
    "sh_basis",
    "shade",
    "srgb_to_linear",
    "to_camera",
    "unwrap",
]
