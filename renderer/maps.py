"""Pictures of the model: shaded face, conditioning maps of Deep Video Portraits, normals, depth, mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from facemodel.errors import PortraitError, unknown_name
from facemodel.normals import vertex_normals

from .camera import FLIP, Camera, to_camera
from .color import linear_to_srgb
from .eyes import EyeShape, eye_colors, eye_shape
from .fragments import Covered
from .interpolation import barycentrics, interpolate_covered
from .lighting import sh_basis
from .rasterizer import rasterize

MAPS = {"diffuse": 3, "correspondence": 3, "eyes": 3, "normals": 3, "depth": 1, "mask": 1}
"""Name and number of channels of each map that ``render`` draws."""

CHUNK_PIXELS = 2**21
"""Pictures are drawn in chunks of about so many pixels, which bounds the working memory to some 300 MB."""


def render(
    model,
    parameters,
    camera: Camera,
    maps: Sequence[str] = ("diffuse",),
    *,
    supersample: int = 1,
    backend: str = "auto",
) -> dict[str, Tensor]:
    """Draws N pictures of the face; black or zero where there is none.

    - ``diffuse``: albedo times light, eyeballs included, sRGB in [0, 1].
    - ``correspondence``: a fixed smooth colour a vertex, see ``correspondence_colors``.
    - ``eyes``: visible eyeball white, iris blue, see ``renderer.eyes``.
    - ``normals``: (n + 1) / 2, n in camera-aligned model axes (x right, y up, z to the viewer).
    - ``depth``: mm along the camera's z.  ``mask``: 1 where the model is.

    Differentiable in all parameters and the camera where those want gradients (not through the silhouette).

    Args:
        model: facemodel.MorphableModel.
        parameters: FaceParameters with leading dimensions () or (N,), on the model's device; shared fields
            (identity...) may have none. Its ``focal`` isn't used: the camera's is.
        camera: size of the pictures; tensors in it of shape () or (N,).
        supersample: draw that many times larger and average: smooth outlines. Depth is averaged over what is covered.
        backend: of ``rasterize``.

    Returns:
        A dictionary, map name -> (N, H, W, C) float32; N is 1 for parameters without leading dimensions.

    Raises:
        PortraitError: unknown map, more than one leading dimension, supersample below 1.
    """
    for name in maps:
        if name not in MAPS:
            raise unknown_name("map", name, MAPS)
    shape = parameters.batch_shape
    if len(shape) > 1:
        raise PortraitError(f"render parameters: expected leading dimensions () or (N,), got {tuple(shape)}")
    if supersample < 1:
        raise PortraitError(f"render supersample: expected a whole number from 1, got {supersample}")
    count = shape[0] if shape else 1
    parameters = parameters.map(lambda t: t) if not shape else _without_single_dimensions(parameters, count)
    large = camera.resized(camera.width * supersample, camera.height * supersample)
    step = max(1, CHUNK_PIXELS // (large.width * large.height))
    chunks = []
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        chunk = _render_chunk(model, parameters[part] if shape else parameters, large.of_pictures(part), maps, backend)
        chunks.append({k: _shrink(k, v, chunk["mask"], supersample) for k, v in chunk.items() if k in maps})
    if len(chunks) == 1:
        return chunks[0]
    empty = {k: torch.zeros(0, camera.height, camera.width, MAPS[k], device=model.mean.device) for k in maps}
    return {k: torch.cat([c[k] for c in chunks]) for k in maps} if chunks else empty


def correspondence_colors(model) -> Tensor:
    """(V, 3) in [0, 1]: the mean head's x, y, z, each scaled to its own range over the whole mesh.

    The colour says which point of the model a pixel shows, whatever the face's shape, expression or pose is
    ("normalised coordinate code"). It depends on the model alone, so it is the same in all tracks of a model.
    """
    low, high = model.mean.amin(0), model.mean.amax(0)
    return (model.mean - low) / (high - low)


@dataclass(frozen=True)
class _Constants:
    """What depends on the model alone."""

    correspondence: Tensor
    eyes: EyeShape


_constants: WeakKeyDictionary = WeakKeyDictionary()


def _constants_of(model) -> _Constants:
    found = _constants.get(model)
    if found is None or found.correspondence.device != model.mean.device:
        with torch.no_grad():
            found = _constants[model] = _Constants(correspondence_colors(model), eye_shape(model))
    return found


def _without_single_dimensions(parameters, count: int):
    """Fields of leading dimensions (1,) beside others of (N,) become shared ones, so that slices keep them."""
    if count == 1:
        return parameters
    trailing = {"rotation": 1, "translation": 1, "illumination": 2, "gaze": 2, "focal": 0}
    changes = {}
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if value.dim() > trailing.get(field.name, 1) and len(value) == 1:
            changes[field.name] = value[0]
    return parameters.replace(**changes)


def _render_chunk(model, parameters, camera: Camera, maps: Sequence[str], backend: str) -> dict[str, Tensor]:
    vertices = model.vertices(parameters.identity, parameters.expression, parameters.gaze)
    points = to_camera(vertices, parameters.rotation, parameters.translation)
    count = parameters.batch_shape[0] if parameters.batch_shape else 1
    points = points.expand(count, -1, -1) if points.dim() == 3 else points[None].expand(count, -1, -1)
    triangles = model.triangles
    fragments = rasterize(points, triangles, camera, backend)
    covered = fragments.covered()
    differentiable = torch.is_grad_enabled() and (
        points.requires_grad or any(v.requires_grad for v in camera.values(points))
    )
    bary = barycentrics(covered, triangles, points, camera) if differentiable else None

    def at_pixels(attributes: Tensor) -> Tensor:
        return interpolate_covered(covered, attributes, triangles, bary)

    result = {"mask": fragments.mask[..., None].float()}
    if "diffuse" in maps or "normals" in maps:
        flip = points.new_tensor(FLIP)
        normals = torch.nn.functional.normalize(at_pixels(vertex_normals(points, triangles) * flip), dim=-1)
        if "normals" in maps:
            result["normals"] = covered.scatter((normals + 1) / 2)
        if "diffuse" in maps:
            albedo = at_pixels(model.albedo(parameters.reflectance))
            radiance = albedo * _light(covered, normals, parameters.illumination, len(triangles))
            result["diffuse"] = covered.scatter(linear_to_srgb(radiance.clamp(0, 1)))
    if "correspondence" in maps:
        result["correspondence"] = covered.scatter(at_pixels(_constants_of(model).correspondence))
    if "depth" in maps:
        depth = at_pixels(points[..., 2:]) if differentiable else None
        result["depth"] = fragments.zbuf.clamp_min(0) if depth is None else covered.scatter(depth)
    if "eyes" in maps:
        result["eyes"] = _eye_map(_constants_of(model).eyes, covered, bary, points, triangles, camera)
    return result


def _light(covered: Covered, normals: Tensor, illumination: Tensor, n_triangles: int) -> Tensor:
    """Irradiance (P, 3) at the covered pixels' normals (P, 3); illumination (9, 3) or (n, 9, 3)."""
    basis = sh_basis(normals)
    if illumination.dim() == 2 or len(illumination) == 1:
        return basis @ illumination.reshape(9, 3)
    picture = covered.faces.div(n_triangles, rounding_mode="floor")
    counts = torch.bincount(picture, minlength=len(illumination)).tolist()
    return torch.cat([b @ light for b, light in zip(basis.split(counts), illumination)])


def _eye_map(
    shape: EyeShape, covered: Covered, bary: Tensor | None, points: Tensor, triangles: Tensor, camera: Camera
) -> Tensor:
    picture = covered.faces.div(len(triangles), rounding_mode="floor")
    chosen = torch.nonzero(shape.triangles[covered.faces - picture * len(triangles)]).squeeze(1)
    part = Covered(covered.shape, covered.index[chosen], covered.faces[chosen], covered.bary[chosen])
    part_bary = None if bary is None else bary[chosen]
    directions = interpolate_covered(part, shape.directions, triangles, part_bary)
    depth = interpolate_covered(part, points[..., 2:], triangles, part_bary)[:, 0]
    focal = camera.values(points)[0]
    if focal.dim() and len(focal) > 1:
        focal = focal[picture[chosen]]
    return part.scatter(eye_colors(directions, depth, focal, shape))


def _shrink(name: str, picture: Tensor, mask: Tensor, factor: int) -> Tensor:
    """Averages blocks of factor x factor pixels (N, H, W, C)."""
    if factor == 1:
        return picture
    average = lambda p: torch.nn.functional.avg_pool2d(p.movedim(-1, 1), factor).movedim(1, -1)  # noqa: E731
    small = average(picture)
    return small / average(mask).clamp_min(0.5 / factor**2) if name == "depth" else small
