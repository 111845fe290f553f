"""Faces as drawings: lines through a clip's landmarks, as pictures in colours, as dots, as boundary heatmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
import torch
from torch import Tensor

from facemodel.landmark_schemes import SCHEMES
from foundation.errors import PortraitError
from neural_render.corpus.crops import face_box, in_crop
from neural_render.methods.clip import Clip

HEATMAP_OVER, PICTURE_OVER = 4, 2  # times finer than the result lines are drawn
FRACTION = 4  # bits of a pixel that OpenCV's lines are drawn to
FAR = 8.0  # crops' sides from the middle, where points end that are further away

Line = Sequence[int]


@dataclass(frozen=True)
class Contours:
    """The P points of a scheme that lie on its lines, and its K lines through them."""

    scheme: str
    points: tuple[int, ...]  # (P,) of the scheme's
    lines: tuple[tuple[int, ...], ...]  # (K,) each through some of the P; a closed one ends where it began
    parts: Mapping[str, tuple[int, ...]]  # of the P, by part of the face

    @classmethod
    def of(cls, scheme: str) -> Contours:
        """PortraitError for an unknown scheme, and for one without lines."""
        parts = SCHEMES[scheme].lines
        if not parts:
            known = ", ".join(name for name in SCHEMES.names() if SCHEMES[name].lines)
            raise PortraitError(
                f"landmarks: expected a scheme with lines to draw a face with ({known}), got '{scheme}'; use another "
                "detector"
            )
        points = sorted(set(chain.from_iterable(chain.from_iterable(parts.values()))))
        place = {point: k for k, point in enumerate(points)}
        lines = {part: [tuple(place[p] for p in line) for line in drawn] for part, drawn in parts.items()}
        return cls(
            scheme,
            tuple(points),
            tuple(chain.from_iterable(lines.values())),
            {part: tuple(sorted(set(chain.from_iterable(drawn)))) for part, drawn in lines.items()},
        )

    def pick(self, landmarks: np.ndarray) -> np.ndarray:
        """(..., L, 2) of the scheme -> (..., P, 2)."""
        return landmarks[..., list(self.points), :]

    @property
    def colours(self) -> np.ndarray:
        """(K, 3) in [0, 255]: one a line, all bright, each part's of one hue."""
        hue = 180 / len(self.parts)
        rows = []
        for k, part in enumerate(self.parts.values()):
            own = [line for line in self.lines if set(line) <= set(part)]
            rows += [(k * hue + hue / 2 * i / len(own), 200, 255) for i in range(len(own))]
        return cv2.cvtColor(np.array([rows], np.uint8), cv2.COLOR_HSV2RGB)[0]


def draw(canvas: np.ndarray, points: np.ndarray, line: Line, colour, thickness: int) -> None:
    """One line into a square picture (S, S) or (S, S, C) uint8, smooth-edged; points (P, 2) in the crop."""
    size = canvas.shape[0]
    pixels = (np.clip(points[list(line)], -FAR, FAR) + 1) * (size / 2) - 0.5  # OpenCV's pixels begin at their centres
    fixed = np.round(pixels * 2**FRACTION).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, colour, thickness, cv2.LINE_AA, FRACTION)


def picture(points: np.ndarray, lines: Sequence[Line], colours: np.ndarray, size: int) -> Tensor:
    """(N, 3, size, size) in [-1, 1]: faces' lines in colours on black, as wide as a 64th of the side.

    points: (N, P, 2) in the crop, -1 to 1 from edge to edge. colours: (K, 3) in [0, 255].
    """
    out = np.zeros((len(points), size, size, 3), np.uint8)
    side, thickness = PICTURE_OVER * size, max(1, round(PICTURE_OVER * size / 64))
    for shown, face in zip(out, points):
        canvas = np.zeros((side, side, 3), np.uint8)
        for line, colour in zip(lines, colours.tolist()):
            draw(canvas, face, line, colour, thickness)
        cv2.resize(canvas, (size, size), shown, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(out).movedim(-1, 1).float() / 127.5 - 1


def dots(points: Tensor, size: int) -> Tensor:
    """(N, 1, size, size) in [0, 1]: every point (N, P, 2) a dot of one pixel's area, shared by the pixels it lies on.

    Points beyond the edges aren't seen.
    """
    place = (points + 1) * (size / 2) - 0.5
    first = place.floor()
    out = points.new_zeros(len(points), size * size)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = (first + first.new_tensor([dx, dy])).unbind(-1)
        weight = (1 - (place[..., 0] - x).abs()) * (1 - (place[..., 1] - y).abs())
        inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
        at = (y * size + x).where(inside, torch.zeros_like(x)).long()
        out.scatter_add_(1, at, weight * inside)
    return out.clamp_max(1).view(-1, 1, size, size)


def heatmaps(points: np.ndarray, lines: Sequence[Line], size: int) -> Tensor:
    """(N, K, size, size) in [0, 1]: each line a map of its own, as ReenactGAN's boundaries are drawn.

    Four times finer, 3 px wide, smoothed by 5 x 5 px of a Gaussian of 3 px, averaged down (its sizes: 256 and 64).
    """
    out = np.empty((len(points), len(lines), size, size), np.float32)
    side = HEATMAP_OVER * size
    for maps, face in zip(out, points):
        for shown, line in zip(maps, lines):
            canvas = np.zeros((side, side), np.uint8)
            draw(canvas, face, line, 255, 3)
            smooth = cv2.GaussianBlur(canvas, (5, 5), 3)
            shown[:] = cv2.resize(smooth, (size, size), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(out) / 255


def check_scheme(clip: Clip, scheme: str, role: str) -> None:
    """PortraitError for a clip whose landmarks aren't of the scheme that weights were trained with."""
    if clip.landmarks.scheme != scheme:
        raise PortraitError(
            f"{role}: expected landmarks '{scheme}' of {clip}, as the weights were trained with, got "
            f"'{clip.landmarks.scheme}'; choose that detector, or train again"
        )


def followed(clip: Clip) -> np.ndarray:
    """(F, L, 2): a clip's landmarks in its crop; where there is no face, those of the nearest frame with one.

    PortraitError for a clip without a face.
    """
    points = clip.landmarks.points
    crop, seen = face_box(points), np.flatnonzero(np.isfinite(points).all((1, 2)))
    nearest = seen[np.abs(seen[None] - np.arange(len(points))[:, None]).argmin(1)]
    return in_crop(points[nearest], crop)
