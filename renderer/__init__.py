"""Camera, rasterisation, shading, conditioning maps and UV unwrapping."""

from geometry.camera import Camera, opencv_extrinsics, project, to_camera
from geometry.color import linear_to_srgb, srgb_to_linear, to_uint8
from geometry.rotation import axis_angle, rotation_matrix
from geometry.spherical_harmonics import sh_basis, shade
from renderer.fragments import Fragments
from renderer.interpolation import interpolate
from renderer.maps import MAPS, render
from renderer.overlays import overlay
from renderer.rasterizers import rasterize
from renderer.scene import correspondence_colors, surface_points
from renderer.texturing import atlas_light, atlas_values, extend, main_island, render_textured
from renderer.unwrapping import Sight, View, unwrap_view

__all__ = [
    "MAPS",
    "Camera",
    "Fragments",
    "Sight",
    "View",
    "axis_angle",
    "atlas_light",
    "atlas_values",
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
    "surface_points",
    "to_camera",
    "to_uint8",
    "unwrap_view",
]
