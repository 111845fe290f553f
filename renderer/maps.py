"""Pictures of the model: shaded face, conditioning maps of Deep Video Portraits, normals, depth, mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from foundation.errors import PortraitError, unknown_name
from geometry.camera import Camera
from renderer import maps_reference
from renderer.rasterizers.registry import resolve
from renderer.scene import CHANNELS, SceneBuilder

MAPS = tuple(name for name in CHANNELS if name != "textured")
"""Names of the maps that ``render`` draws of a model alone."""

CHUNK_PIXELS, CHUNK_PICTURES = 2**21, 128
"""Pictures are drawn in chunks of at most about so many pixels, and so many, which bounds the working memory."""


def render(
    model,
    parameters,
    camera: Camera,
    maps: Sequence[str] = ("diffuse",),
    *,
    supersample: int = 1,
    rasterizer: str | None = None,
    texture: Tensor | None = None,
) -> dict[str, Tensor]:
    """Draws N pictures of the face; black or zero where there is none.

    - ``diffuse``: albedo times light, eyeballs included, sRGB in [0, 1].
    - ``correspondence``: a fixed smooth colour a vertex, see ``correspondence_colors``.
    - ``eyes``: visible eyeball white, iris blue, see ``renderer.eyes``.
    - ``normals``: (n + 1) / 2, n in camera-aligned model axes (x right, y up, z to the viewer).
    - ``depth``: mm along the camera's z; of teeth and tongue 6 mm more, see `renderer.scene.MouthDepth`.
    - ``mask``: 1 where the model is.
    - ``textured``: as ``diffuse``, the albedo being that of the ``texture``.

    Differentiable in all parameters and the camera where those want gradients (not through the silhouette).
    Without gradients on the CPU the compiled path draws: a few ms a picture of 256 x 256.

    Args:
        model: facemodel.FaceModel.
        parameters: FaceParameters with leading dimensions () or (N,), on the model's device; shared fields
            (identity...) may have none. Its ``focal`` isn't used: the camera's is.
        camera: size of the pictures; tensors in it of shape () or (N,).
        supersample: draw that many times larger and average: smooth outlines. Depth is averaged over what is covered.
        rasterizer: as for ``rasterize``.
        texture: (S, R, 3) linear RGB without light, row 0 at v = 1, extended beyond the atlas' borders (``extend``).

    Returns:
        A dictionary, map name -> (N, H, W, C) float32; N is 1 for parameters without leading dimensions.

    Raises:
        PortraitError: unknown map or rasterizer, more than one leading dimension, supersample below 1; ``textured``
            of no texture, or of a model without an atlas.
    """
    for name in maps:
        if name not in CHANNELS:
            raise unknown_name("map", name, CHANNELS)
    if "textured" in maps:
        model.require("atlas", "drawing a texture")
        if texture is None:
            raise PortraitError("render texture: expected one for the map 'textured', got none")
    device = model.mean.device
    compiled = resolve(rasterizer, device).name == "numba" and device.type == "cpu"
    shape = parameters.batch_shape
    if len(shape) > 1:
        raise PortraitError(f"render parameters: expected leading dimensions () or (N,), got {tuple(shape)}")
    if int(supersample) != supersample or supersample < 1:
        raise PortraitError(f"render supersample: expected a whole number from 1, got {supersample}")
    count = shape[0] if shape else 1
    if not count:
        size = (0, camera.height, camera.width)
        return {name: torch.zeros(*size, CHANNELS[name], device=device) for name in maps}
    builder = SceneBuilder(model, parameters, "diffuse" in maps, texture)
    step = min(CHUNK_PICTURES, max(1, CHUNK_PIXELS // (camera.width * camera.height * supersample**2)))
    chunks = []
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        chunks.append(_draw(builder.scene(part), camera.of_pictures(part), maps, supersample, rasterizer, compiled))
    if len(chunks) == 1:
        return chunks[0]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in maps}


def _draw(scene, camera: Camera, maps, supersample: int, rasterizer: str | None, compiled: bool) -> dict[str, Tensor]:
    if not compiled or scene.wants_gradient(camera) or scene.colors_want_gradient():
        return maps_reference.draw(scene, camera, maps, supersample, rasterizer)
    from renderer import maps_compiled

    return maps_compiled.draw(scene, camera, maps, supersample)
