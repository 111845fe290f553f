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
from .texturing import chart_light, chart_values, extend, main_island, render_textured
from .unwrapping import View, unwrap, unwrap_view

__all__ = [
    "MAPS",
    "Camera",
    "Fragments",
    "View",
    "axis_angle",
    "chart_light",
    "chart_values",
    "correspondence_colors",
    "extend",
    "interpolate",
    "linear_to_srgb",
    "main_island",
    "opencv_extrinsics",
    "overlay",
    "project",
    "rasterize",
    "render",
    "render_textured",
    "rotation_matrix",
    "sh_basis",
    "shade",
    "srgb_to_linear",
    "to_camera",
    "unwrap",
    "unwrap_view",
]
