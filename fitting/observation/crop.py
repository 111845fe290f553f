"""What the solver sees of a frame: the square about the face as an image pyramid, and the landmarks in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from facemodel.landmark_schemes import SCHEMES
from fitting.landmarks.base import SQUARE, Face, square_crop
from fitting.observation.eye_patches import EyePatches, EyeSquare, eye_patches
from geometry.color import srgb_to_linear

BRIGHT = 0.95  # share of a square's pixels that are darker than those by which its exposure is told
METERED = 0.4  # of 1, sRGB: what these have at least in a picture of usual exposure
DARKEST = 0.01  # exposure, over that


@dataclass(frozen=True)
class Level:
    """One level of the pyramid: colours and their derivatives, to be sampled together."""

    stack: Tensor  # (F, 9, S, S), channels last: sRGB in [0, 1], then d/dx and d/dy of each, per px of this level
    size: int

    def sample(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Colour (F, N, 3), gradient (F, N, 3, 2), inside (F, N) at (F, N, 2) level px (pixel centres at +0.5)."""
        values, inside = self._sample(self.stack, points)
        return values[..., :3], torch.stack([values[..., 3:6], values[..., 6:9]], -1), inside

    def colours(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """`sample` without the gradient."""
        return self._sample(self.stack[:, :3], points)

    def _sample(self, stack: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        grid = points * (2 / self.size) - 1
        values = torch.nn.functional.grid_sample(
            stack, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False
        )[:, :, 0].transpose(1, 2)
        return values, (grid.abs() < 1 - 2 / self.size).all(-1)


@dataclass(frozen=True, eq=False)
class Observation:
    """F frames (one while tracking, the key frames while solving for identity).

    The crop is described in units of the frame: a point u px of the frame lies at (u - corner) / side of the crop.
    """

    levels: dict[int, Level]  # by size in px
    corner: Tensor  # (F, 2) px of the frame
    side: Tensor  # (F,) px of the frame
    landmarks: Tensor  # (F, L, 2) px of the frame
    face_size: Tensor  # (F,) px of the frame
    frame_centre: Tensor  # (2,) principal point, px of the frame
    eyes: tuple[EyePatches, ...] | None = None  # F of them, where the picture was at hand
    hidden: Tensor | None = None  # (F,) bool: parts of the face are hidden, and have no landmarks; None: of none

    def __len__(self) -> int:
        return len(self.side)

    @cached_property
    def exposure(self) -> Tensor:
        """(F,) up to 1: light in the square over what cameras let in at least; of all but the darkest pictures 1.

        Not by the face: a dark one has brighter things about it in a picture of usual exposure.
        """
        if not self.levels:
            return torch.ones_like(self.side)
        pixels = self.levels[min(self.levels)].stack[:, :3].flatten(2).mean(1)  # (F, S * S)
        bright = pixels.kthvalue(max(1, round(BRIGHT * pixels.shape[1]))).values
        return (srgb_to_linear(bright) / srgb_to_linear(bright.new_tensor(METERED))).clamp(DARKEST, 1.0)

    def frame(self, index: int) -> Observation:
        """One of the frames, as an observation of one."""
        at = slice(index, index + 1)
        levels = {s: Level(level.stack[at], s) for s, level in self.levels.items()}
        parts = self.corner, self.side, self.landmarks, self.face_size
        eyes = None if self.eyes is None else self.eyes[at]
        hidden = None if self.hidden is None else self.hidden[at]
        return Observation(levels, *(x[at] for x in parts), self.frame_centre, eyes, hidden)

    @staticmethod
    def concatenate(items: list[Observation]) -> Observation:
        """As one of several frames, without their eyes."""
        join = lambda name: torch.cat([getattr(i, name) for i in items])  # noqa: E731
        levels = {s: Level(torch.cat([i.levels[s].stack for i in items]), s) for s in items[0].levels}
        names = ("corner", "side", "landmarks", "face_size")
        return Observation(levels, *(join(n) for n in names), items[0].frame_centre)


@dataclass(frozen=True)
class FaceCrop:
    """The square about a face, cut out but not yet taken apart: small, to be kept until it's known to be needed."""

    picture: np.ndarray  # (S, S, 3) uint8
    face: Face
    frame_size: tuple[int, int]  # px, width and height

    def observe(self, sizes: tuple[int, ...], device: str | torch.device = "cpu") -> Observation:
        """``sizes`` are the pyramid's, in px, none above S."""
        side, centre = self.face.size * SQUARE, self.face.centre
        tensor = lambda a: torch.as_tensor(np.asarray(a), dtype=torch.float32, device=device)  # noqa: E731
        return Observation(
            levels={size: _level(self.picture, size, device) for size in sizes},
            corner=tensor(centre - side / 2)[None],
            side=tensor([side]),
            landmarks=tensor(self.face.points)[None],
            face_size=tensor([self.face.size]),
            frame_centre=tensor([self.frame_size[0] / 2, self.frame_size[1] / 2]),
        )


def cut_out(picture: np.ndarray, face: Face, size: int) -> FaceCrop:
    """The square of ``size`` px about a face of an (H, W, 3) uint8 picture."""
    crop = square_crop(picture, face.centre, face.size * SQUARE, size)
    return FaceCrop(crop, face, (picture.shape[1], picture.shape[0]))


def observe(
    picture: np.ndarray,
    face: Face,
    sizes: tuple[int, ...],
    device: str | torch.device = "cpu",
    eyes: EyeSquare | None = None,
) -> Observation:
    """The observation of one (H, W, 3) uint8 picture. ``sizes``: the pyramid's, px; ``eyes``: how they are cut."""
    seen = cut_out(picture, face, max(sizes)).observe(sizes, device)
    corners, square = SCHEMES[face.scheme].eye_corners, eyes or EyeSquare()
    centres = np.stack([face.points[list(c)].mean(0) for c in corners])
    patches = eye_patches(picture, centres, square.width * face.size, square.size)
    return replace(seen, eyes=(patches,))


def level_picture(crop: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) float32 sRGB in [0, 1]: a level's picture of a uint8 crop, blurred a little."""
    import cv2

    image = crop if crop.shape[0] == size else cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(image.astype(np.float32) / 255, (5, 5), 0.8)


def _level(crop: np.ndarray, size: int, device: str | torch.device) -> Level:
    import cv2

    image = level_picture(crop, size)
    dx = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    dy = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    stack = torch.from_numpy(np.concatenate([image, dx, dy], 2))
    return Level(stack.permute(2, 0, 1)[None].to(device), size)
