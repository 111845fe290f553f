"""PyTorch3D's rasteriser behind this package's camera. PyTorch3D itself is imported only where it draws."""

from __future__ import annotations

import torch
from torch import Tensor

from geometry.camera import Camera
from renderer.fragments import Fragments
from renderer.rasterizers.base import NEAR, Rasterizer, check_triangles, intrinsics


def to_ndc(points_cam: Tensor, camera: Camera) -> Tensor:
    """Camera frame (N, V, 3) to PyTorch3D's screen: x left, y up, the shorter side from -1 to 1, z in mm.

    Vertices at or behind the near plane get z = -1, by which PyTorch3D drops their triangles.
    """
    fx, fy, cx, cy = camera.values(points_cam, trailing=1)
    x, y, z = points_cam.unbind(-1)
    front = z > NEAR
    depth = torch.where(front, z, torch.ones_like(z))
    scale = 2.0 / min(camera.width, camera.height)
    u = (camera.width / 2 - cx - fx * x / depth) * scale
    v = (camera.height / 2 - cy - fy * y / depth) * scale
    return torch.stack([u, v, torch.where(front, z, -torch.ones_like(z))], dim=-1)


def available(device: torch.device) -> str | None:
    """None where PyTorch3D and its compiled part can be imported, else why not."""
    try:
        from pytorch3d import _C  # noqa: F401
    except ImportError as error:
        return f"PyTorch3D can't be imported ({error}); pip install easypytorch3d"
    return None if device.type in ("cpu", "cuda") else f"PyTorch3D doesn't draw on {device.type}"


def rasterize(points_cam: Tensor, triangles: Tensor, camera: Camera) -> Fragments:
    """See `renderer.rasterizers.rasterize`."""
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    check_triangles(triangles, points_cam.shape[1])
    intrinsics(camera, len(points_cam))
    points = to_ndc(points_cam.float(), camera)
    meshes = Meshes(verts=points, faces=triangles[None].expand(len(points), -1, -1))
    pix_to_face, zbuf, bary, _ = rasterize_meshes(
        meshes,
        image_size=(camera.height, camera.width),
        blur_radius=0.0,
        faces_per_pixel=1,
        perspective_correct=True,
        # On CUDA a small head may lie within one bin; its default of 10000 would then lose triangles.
        max_faces_per_bin=max(10_000, len(triangles)),
    )
    return Fragments(pix_to_face, zbuf, bary)


RASTERIZER = Rasterizer("pytorch3d", rasterize, available)
