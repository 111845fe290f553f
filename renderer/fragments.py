"""What a rasteriser returns, laid out as PyTorch3D lays it out, with one face a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Fragments:
    """The nearest triangle at each pixel centre of N pictures of T triangles each."""

    pix_to_face: Tensor  # (N, H, W, 1) int64, packed index n * T + t; -1 where empty
    zbuf: Tensor  # (N, H, W, 1) float32, mm, depth along the camera's z; -1 where empty
    bary_coords: Tensor  # (N, H, W, 1, 3) float32, perspective-correct, sum 1; -1 where empty

    @property
    def mask(self) -> Tensor:
        """(N, H, W) bool: covered pixels."""
        return self.pix_to_face[..., 0] >= 0

    def covered(self) -> Covered:
        """The covered pixels alone, in raster order."""
        faces = self.pix_to_face.reshape(-1)
        index = torch.nonzero(faces >= 0).squeeze(1)
        return Covered(
            shape=tuple(self.pix_to_face.shape[:3]),
            index=index,
            faces=faces.index_select(0, index),
            bary=self.bary_coords.reshape(-1, 3).index_select(0, index),
        )


@dataclass(frozen=True)
class Covered:
    """P covered pixels of N x H x W, so that work is done for those alone."""

    shape: tuple[int, int, int]  # N, H, W
    index: Tensor  # (P,) int64 into the flattened pictures
    faces: Tensor  # (P,) int64 packed index n * T + t
    bary: Tensor  # (P, 3) float32

    def scatter(self, values: Tensor) -> Tensor:
        """Values (P, C) -> pictures (N, H, W, C), zero where empty. Differentiable in ``values``."""
        flat = values.new_zeros(self.shape[0] * self.shape[1] * self.shape[2], values.shape[-1])
        return flat.index_copy(0, self.index, values).view(*self.shape, -1)

    def pixel_centers(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """u and v (P,) in px."""
        _, height, width = self.shape
        u = self.index % width
        v = self.index.div(width, rounding_mode="floor") % height
        return u.to(like.dtype) + 0.5, v.to(like.dtype) + 0.5
