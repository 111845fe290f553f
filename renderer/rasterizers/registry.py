"""The rasterisers there are, the choice between them, and the one function that draws with the chosen one.

One choice holds for all that is drawn in a process: the command line makes it once (`choose`), and passes it to its
worker processes. ``auto``, the choice at first, is the compiled scan-line rasteriser on the CPU and the one in plain
torch on CUDA, which drew 128 heads of 256 x 256 px in 38 ms on an H100 where PyTorch3D's took 220 ms
(`benchmarks.rasterizer` prints both where there is a GPU).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from foundation.errors import PortraitError, unknown_name
from foundation.registry import Registry
from geometry.camera import Camera
from renderer.fragments import Fragments
from renderer.rasterizers.base import Rasterizer

RASTERIZERS: Registry[Rasterizer] = Registry("rasterizer")
for _name in ("numba", "torch", "pytorch3d"):
    RASTERIZERS.add(_name, f"renderer.rasterizers.{_name}:RASTERIZER")

AUTO = "auto"
_current = AUTO


def names() -> tuple[str, ...]:
    """What can be chosen."""
    return (AUTO, *RASTERIZERS.names())


def choose(name: str, device: str | torch.device | None = None) -> None:
    """Makes ``name`` the rasteriser of everything that is drawn from here on, in all threads.

    Raises:
        PortraitError: there is no such rasteriser, or ``device`` is given and it can't draw there.
    """
    if name != AUTO and name not in RASTERIZERS:
        raise unknown_name("rasterizer", name, names())
    if device is not None:
        _usable(resolve(name, device), device)
    _choose(name)


def chosen() -> str:
    """The name of the current choice."""
    return _current


@contextmanager
def using(name: str) -> Iterator[None]:
    """`choose` for the length of a ``with`` block."""
    before = _current
    choose(name)
    try:
        yield
    finally:
        _choose(before)


def _choose(name: str) -> None:
    global _current  # noqa: PLW0603 a context variable would not reach the threads of a pool
    _current = name


def resolve(name: str | None, device: str | torch.device) -> Rasterizer:
    """The rasteriser of that name, or of the current choice; PortraitError where there is none such."""
    name = _current if name is None else name
    if name == AUTO:
        name = "torch" if torch.device(device).type == "cuda" else "numba"
    return RASTERIZERS[name]


def rasterize(points_cam: Tensor, triangles: Tensor, camera: Camera, rasterizer: str | None = None) -> Fragments:
    """Finds the nearest triangle at each pixel centre.

    Both sides of a triangle are drawn. A triangle with a vertex at or behind `NEAR` is dropped whole; parts
    beyond the picture are clipped. Pixel centres exactly on an edge belong to one of its triangles, with PyTorch3D
    to none. The result isn't differentiable itself: ``interpolate`` with ``points_cam`` works
    the barycentrics out again from the vertices.

    Args:
        points_cam: (N, V, 3) mm, camera frame, any device. (V, 3) is taken as N = 1.
        triangles: (T, 3) integers, the same for all pictures.
        camera: its tensors, if any, of shape () or (N,).
        rasterizer: a name of `names`; None is the current choice.

    Returns:
        Fragments on the points' device.

    Raises:
        PortraitError: no such rasteriser, one that can't be used here, or shapes that don't fit.
    """
    if points_cam.dim() == 2:
        points_cam = points_cam[None]
    if points_cam.dim() != 3 or points_cam.shape[-1] != 3:
        raise PortraitError(f"rasterize points_cam: expected shape (N, V, 3), got {tuple(points_cam.shape)}")
    if triangles.dim() != 2 or triangles.shape[-1] != 3:
        raise PortraitError(f"rasterize triangles: expected shape (T, 3), got {tuple(triangles.shape)}")
    found = resolve(rasterizer, points_cam.device)
    points_cam = points_cam.detach()
    if not len(triangles) or not points_cam.shape[0] or not points_cam.shape[1]:
        return _empty(points_cam, camera)
    _usable(found, points_cam.device)
    return found.rasterize(points_cam, triangles, camera)


def _usable(rasterizer: Rasterizer, device: str | torch.device) -> None:
    reason = rasterizer.available(torch.device(device))
    if reason is not None:
        raise PortraitError(f"rasterizer '{rasterizer.name}': {reason}; use another of {', '.join(names())}")


def _empty(points_cam: Tensor, camera: Camera) -> Fragments:
    shape = (points_cam.shape[0], camera.height, camera.width, 1)
    new = lambda dtype, *more: torch.full((*shape, *more), -1, dtype=dtype, device=points_cam.device)  # noqa: E731
    return Fragments(new(torch.int64), new(torch.float32), new(torch.float32, 3))
