"""Rasterisers by name, and which of them draws.

Enter points in the camera frame, triangles and a camera; leave `Fragments`. Everything in the project that needs to
know which triangle a pixel shows calls `rasterize`: the maps, unwrapping, texturing, and visibility in fitting.

To add one: one file that calls ``RASTERIZERS.add(name, Rasterizer(...))``, see `renderer.rasterizers.base`.
"""

from renderer.rasterizers.base import NEAR, Rasterizer
from renderer.rasterizers.registry import AUTO, RASTERIZERS, choose, chosen, names, rasterize, resolve, using

__all__ = ["AUTO", "NEAR", "RASTERIZERS", "Rasterizer", "choose", "chosen", "names", "rasterize", "resolve", "using"]
