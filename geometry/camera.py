"""The pinhole camera, rigid motion, and the one place where the model's axes become the camera's.

Model axes: millimetres, x to the subject's left (right in the picture), y up, z towards the viewer.
Camera axes: OpenCV's: x right, y down, z forward. Pixel (row i, column j) has its centre at (j + 0.5, i + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from foundation.errors import PortraitError
from geometry.rotation import rotation_matrix

FLIP = (1.0, -1.0, -1.0)
"""Diagonal of the matrix from the model's axes to the camera's: y and z change sign."""

Number = float | Tensor


@dataclass(frozen=True)
class Camera:
    """A pinhole camera and the size of its picture.

    ``focal``, ``cx``, ``cy`` and ``focal_y`` are numbers, or tensors of shape () or (N,), one a picture of a batch.
    Raises PortraitError where a size or a focal length isn't positive.
    """

    focal: Number  # px
    width: int  # px
    height: int  # px
    cx: Number | None = None  # px, principal point; None is the middle of the picture
    cy: Number | None = None
    focal_y: Number | None = None  # px, vertical; None where pixels are square

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise PortraitError(f"camera {name}: expected a whole number of pixels above 0, got {value}")
            object.__setattr__(self, name, int(value))
        for name in ("focal", "focal_y"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Tensor) and not 0 < float(value) < float("inf"):
                raise PortraitError(f"camera {name}: expected a length in pixels above 0, got {value}")

    @property
    def principal_point(self) -> tuple[Number, Number]:
        """(cx, cy) in pixels."""
        return (
            self.width / 2 if self.cx is None else self.cx,
            self.height / 2 if self.cy is None else self.cy,
        )

    def values(self, like: Tensor, trailing: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """fx, fy, cx, cy as tensors of ``like``'s type and device, batched ones with ``trailing`` ones added."""
        cx, cy = self.principal_point
        fy = self.focal if self.focal_y is None else self.focal_y
        tensors = (torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (self.focal, fy, cx, cy))
        fx, fy, cx, cy = (t.reshape(*t.shape, *[1] * trailing) if t.dim() else t for t in tensors)
        return fx, fy, cx, cy

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same picture scaled to another size; pixels may become oblong."""
        sx, sy = width / self.width, height / self.height
        cx, cy = self.principal_point
        square = self.focal_y is None and sx == sy
        fy = self.focal if self.focal_y is None else self.focal_y
        return replace(
            self,
            focal=self.focal * sx,
            focal_y=None if square else fy * sy,
            width=width,
            height=height,
            cx=None if self.cx is None else cx * sx,
            cy=None if self.cy is None else cy * sy,
        )

    def cropped(self, x0: float, y0: float, width: int, height: int | None = None) -> Camera:
        """The camera of a window whose top left corner is at (x0, y0) px; it may reach beyond the picture.

        ``height`` None is a square window. A window at any scale: ``camera.cropped(...).resized(...)``.
        """
        cx, cy = self.principal_point
        return replace(self, width=width, height=width if height is None else height, cx=cx - x0, cy=cy - y0)

    def of_pictures(self, index: slice) -> Camera:
        """The camera of some pictures of a batch: tensors of shape (N,) with N > 1 are indexed."""

        def pick(value: Number | None) -> Number | None:
            return value[index] if isinstance(value, Tensor) and value.dim() and len(value) > 1 else value

        return replace(self, **{name: pick(getattr(self, name)) for name in ("focal", "focal_y", "cx", "cy")})

    def intrinsics(self) -> Tensor:
        """(3, 3) float, px: x_image ~ K x_camera. A batched camera gives (N, 3, 3)."""
        fx, fy, cx, cy = torch.broadcast_tensors(*self.values(_first_tensor(self)))
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        rows = [torch.stack(r, -1) for r in ((fx, zero, cx), (zero, fy, cy), (zero, zero, one))]
        return torch.stack(rows, -2)


def _first_tensor(camera: Camera) -> Tensor:
    values = (camera.focal, camera.focal_y, camera.cx, camera.cy)
    return next((v for v in values if isinstance(v, Tensor)), torch.zeros(()))


def project(points_cam: Tensor, camera: Camera) -> Tensor:
    """Points (..., P, 3) mm, camera frame -> (..., P, 2) px (u right, v down).

    Meaningless for points that aren't in front of the camera (z <= 0).
    """
    fx, fy, cx, cy = camera.values(points_cam, trailing=1)
    x, y, z = points_cam.unbind(-1)
    return torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1)


def to_camera(vertices: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """Model frame to camera frame: FLIP R(rotation) v + translation.

    Args:
        vertices: (..., V, 3) mm, model frame.
        rotation: (..., 3) axis-angle in the model's axes, radians; zero faces the camera.
        translation: (..., 3) mm, camera frame.

    Returns:
        (..., V, 3) mm, camera frame.
    """
    matrix, offset = opencv_extrinsics(rotation, translation)
    return vertices @ matrix.transpose(-1, -2) + offset.unsqueeze(-2)


def opencv_extrinsics(rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """R (..., 3, 3) and t (..., 3) with x_camera = R x_model + t, as OpenCV's functions expect them."""
    flip = torch.tensor(FLIP, dtype=rotation.dtype, device=rotation.device)
    return flip[:, None] * rotation_matrix(rotation), translation
