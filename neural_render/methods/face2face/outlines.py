"""How what is beside a head moves with it: as its points do on the whole, or as its outline does. Pixels throughout."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

DIRECTIONS, SMOOTHED, EDGE = 90, 1.5, 16
"""In which an outline is looked at, over how many of them it is smoothed, and points on each edge of it."""


def similarity(before: np.ndarray, after: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(2, 3) float32: the turn, scale and shift of the picture that takes points (V, 2) nearest to others.

    Least squares (Umeyama, PAMI 1991).
    """
    a, b = before[chosen].astype(np.float64), after[chosen].astype(np.float64)
    mean_a, mean_b = a.mean(0), b.mean(0)
    a, b = (a - mean_a) @ [1, 1j], (b - mean_b) @ [1, 1j]
    turn = (np.conj(a) * b).sum() / max((np.abs(a) ** 2).sum(), 1e-12)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([matrix, (mean_b - matrix @ mean_a)[:, None]], 1).astype(np.float32)


@dataclass(frozen=True)
class Outlines:
    """A head's outline in two pictures, as distances from its middle by direction."""

    middles: tuple[np.ndarray, np.ndarray]  # (2,) px each, before and after
    turn: float  # radians, of the head about its line of sight
    ratio: np.ndarray  # (DIRECTIONS,) of the distances after to those before, by the direction before

    @classmethod
    def of(cls, before: np.ndarray, after: np.ndarray, turn: float) -> Outlines:
        """Of a head's projected vertices (V, 2) px."""
        upright = after @ rotation(turn)  # turned back
        middles = [((p.min(0) + p.max(0)) / 2).astype(np.float32) for p in (before, upright)]
        ratio = reaches(upright - middles[1]) / reaches(before - middles[0])
        return cls((middles[0], rotation(turn) @ middles[1]), turn, ratio)

    def motion(self, place: np.ndarray) -> np.ndarray:
        """(h, w, 2) px from places (h, w, 2) px of the first picture to the second's."""
        away = place - self.middles[0]
        direction = np.arctan2(away[..., 1], away[..., 0]) * np.float32(DIRECTIONS / (2 * np.pi))
        ratio = np.interp(direction, np.arange(DIRECTIONS), self.ratio, period=DIRECTIONS).astype(np.float32)
        return (away * ratio[..., None]) @ rotation(self.turn).T + self.middles[1] - place


def rotation(angle: float) -> np.ndarray:
    """(2, 2) float32."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)


def reaches(points: np.ndarray) -> np.ndarray:
    """(DIRECTIONS,): how far the convex hull of points (V, 2) reaches from the origin inside it, by direction."""
    corners = cv2.convexHull(points.astype(np.float32))[:, 0]
    along = np.linspace(0, 1, EDGE, endpoint=False, dtype=np.float32)[:, None, None]
    edges = (corners + along * (np.roll(corners, -1, 0) - corners)).reshape(-1, 2)
    direction = np.arctan2(edges[:, 1], edges[:, 0]) * (DIRECTIONS / (2 * np.pi))
    reach = np.interp(np.arange(DIRECTIONS), direction % DIRECTIONS, np.linalg.norm(edges, axis=1), period=DIRECTIONS)
    return gaussian_filter1d(reach, SMOOTHED, mode="wrap")
