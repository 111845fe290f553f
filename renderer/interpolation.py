"""Attributes of vertices at pixels: a compiled kernel where no gradient is wanted, plain torch elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from foundation.errors import PortraitError
from geometry.camera import Camera
from renderer.fragments import Covered, Fragments


def interpolate(
    fragments: Fragments,
    attributes: Tensor,
    triangles: Tensor,
    points_cam: Tensor | None = None,
    camera: Camera | None = None,
) -> Tensor:
    """Perspective-correct interpolation of vertex attributes; zero where a pixel is empty.

    Args:
        fragments: of N pictures.
        attributes: (N, V, C), or (V, C) shared by all pictures.
        triangles: (T, 3) int64, those the fragments were made from.
        points_cam: (N, V, 3) mm, camera frame. Given together with ``camera``, the barycentrics are worked out
            again from it, so that the result is differentiable in the vertices (and the focal length). Which triangle
            is seen is held fixed: edges of the silhouette give no gradient.

    Returns:
        (N, H, W, C), of the attributes' type.
    """
    if (points_cam is None) != (camera is None):
        raise PortraitError("interpolate: expected points_cam and camera together, got only one of them")
    if points_cam is None and not _wants_gradient(attributes):
        n, height, width = fragments.pix_to_face.shape[:3]
        flat = fragments.pix_to_face.reshape(-1), fragments.bary_coords.reshape(-1, 3)
        if _compiled(attributes):
            return _interpolate_compiled(*flat, triangles, attributes).view(n, height, width, -1)
    covered = fragments.covered()
    bary = None
    if points_cam is not None:
        bary = barycentrics(covered, triangles, points_cam, camera)
    return covered.scatter(interpolate_covered(covered, attributes, triangles, bary))


def interpolate_covered(covered: Covered, attributes: Tensor, triangles: Tensor, bary: Tensor | None = None) -> Tensor:
    """The same for the covered pixels alone: (P, C). ``bary`` (P, 3) replaces the fragments' barycentrics."""
    if bary is None and not _wants_gradient(attributes) and _compiled(attributes):
        return _interpolate_compiled(covered.faces, covered.bary, triangles, attributes)
    return interpolate_reference(covered.faces, covered.bary if bary is None else bary, triangles, attributes)


def interpolate_reference(faces: Tensor, bary: Tensor, triangles: Tensor, attributes: Tensor) -> Tensor:
    """Plain torch: the oracle of the compiled kernel, and the path of gradients and of CUDA.

    faces (P,) packed, none of them -1; bary (P, 3); attributes (N, V, C) or (V, C) -> (P, C).
    """
    corners, picture = _corners(faces, triangles)
    if attributes.dim() == 2 or attributes.shape[0] == 1:
        values = attributes.reshape(-1, attributes.shape[-1])[corners]
    else:
        values = attributes[picture[:, None], corners]
    return (bary.to(values.dtype)[..., None] * values).sum(-2)


def barycentrics(covered: Covered, triangles: Tensor, points_cam: Tensor, camera: Camera) -> Tensor:
    """Perspective-correct barycentrics (P, 3) of the covered pixels, differentiable in points and camera.

    The ray through the pixel is met with the triangle's plane (Moeller and Trumbore, "Fast, Minimum Storage
    Ray-Triangle Intersection", 1997), relative to the first corner, which keeps float32 exact to about 1e-5.
    """
    corners, picture = _corners(covered.faces, triangles)
    points = points_cam if points_cam.dim() == 3 else points_cam[None]
    p0, p1, p2 = points[picture[:, None], corners].unbind(-2)
    fx, fy, cx, cy = (v[picture] if v.dim() and len(v) > 1 else v for v in camera.values(points))
    u, v = covered.pixel_centers(points)
    ray = torch.stack([(u - cx) / fx, (v - cy) / fy, torch.ones_like(u)], dim=-1)
    edge1, edge2 = p1 - p0, p2 - p0
    offset = ray * p0[..., 2:] - p0
    across1, across2 = torch.linalg.cross(ray, edge1), torch.linalg.cross(ray, edge2)
    determinant = (edge1 * across2).sum(-1)
    b1 = (offset * across2).sum(-1) / determinant
    b2 = -(offset * across1).sum(-1) / determinant
    return torch.stack([1 - b1 - b2, b1, b2], dim=-1)


def _corners(faces: Tensor, triangles: Tensor) -> tuple[Tensor, Tensor]:
    """Vertex numbers (P, 3) and picture (P,) of packed faces."""
    picture = faces.div(len(triangles), rounding_mode="floor")
    return triangles[faces - picture * len(triangles)], picture


def _wants_gradient(attributes: Tensor) -> bool:
    return torch.is_grad_enabled() and attributes.requires_grad


def _compiled(attributes: Tensor) -> bool:
    return attributes.device.type == "cpu" and attributes.dtype == torch.float32


def _interpolate_compiled(faces: Tensor, bary: Tensor, triangles: Tensor, attributes: Tensor) -> Tensor:
    from renderer.rasterizers.numba_kernels import interpolate_pixels

    batched = attributes if attributes.dim() == 3 else attributes[None]
    out = torch.empty(len(faces), batched.shape[-1])
    interpolate_pixels(
        faces.contiguous().numpy(),
        bary.detach().contiguous().numpy(),
        triangles.contiguous().numpy(),
        batched.detach().contiguous().numpy(),
        out.numpy(),
    )
    return out
