"""A landmark detector that is one file: it finds dots of known hues, which `draw_dots` puts on drawings of the toy.

It knows neither a network nor the default model; its scheme is the toy model's.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from fitting.landmarks import DETECTORS, Face
from tests.extension.toy_model import SCHEME

NAME = "dots"
HUES = np.arange(SCHEME.count) / SCHEME.count
COLORS = np.array([[round(255 * c) for c in colorsys.hsv_to_rgb(hue, 1.0, 1.0)] for hue in HUES])
FEWEST = 12  # dots that make a face
PURE = 0.985  # how much of one hue a dot is, at least


class DotDetector:
    """See `fitting.landmarks.LandmarkDetector`."""

    name = NAME
    scheme = SCHEME.name

    def detect(self, picture: np.ndarray) -> list[Face]:
        points = find_dots(picture)
        return [Face(points, self.scheme, 1.0)] if np.isfinite(points).all(1).sum() >= FEWEST else []

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face | None:
        return next(iter(self.detect(picture)), None)

    def close(self) -> None:
        pass


def draw_dots(picture: np.ndarray, points: np.ndarray, radius: float = 3.5) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 picture with a dot of its own hue at each of the (L, 2) points, px."""
    picture, shift = np.array(picture), 4
    for point, color in zip(points, COLORS):
        at = tuple(int(round((c - 0.5) * 2**shift)) for c in point)
        cv2.circle(picture, at, int(radius * 2**shift), color.tolist(), -1, cv2.LINE_AA, shift)
    return picture


def find_dots(picture: np.ndarray) -> np.ndarray:
    """(L, 2) px: the middles of the dots; NaN where there is none."""
    hue, saturation, value = np.moveaxis(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL).astype(np.float64), -1, 0)
    vivid = ((saturation > 140) & (value > 110)).astype(np.uint8)
    count, labels, boxes, middles = cv2.connectedComponentsWithStats(vivid, connectivity=4)
    points = np.full((SCHEME.count, 2), np.nan)
    most = np.zeros(SCHEME.count)
    for k in range(1, count):
        inside = labels == k
        size = int(boxes[k, cv2.CC_STAT_AREA])
        if size < 8:
            continue
        strongest = inside & (saturation >= np.quantile(saturation[inside], 0.5))
        turn = np.exp(2j * np.pi * hue[strongest] / 256).mean()
        if abs(turn) < PURE:  # two dots that touch
            continue
        which = int(round(np.angle(turn) / (2 * np.pi) * SCHEME.count)) % SCHEME.count
        if size > most[which]:
            most[which], points[which] = size, middles[k] + 0.5
    return points


def register() -> None:
    DETECTORS.add(NAME, lambda device="cpu": DotDetector())


def unregister() -> None:
    DETECTORS.remove(NAME)
