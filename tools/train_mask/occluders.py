"""Shapes of things before a face: hands, arms, cups, phones, cloth and plain figures.

Each one draws itself into an (S, S, 2) float32 canvas, alpha and shade, about ``at`` px and ``size`` px large.
"""

from __future__ import annotations

import cv2
import numpy as np


def hand(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    """A palm with bent fingers, spread or side by side, and a wrist for most."""
    turn, width = draw.uniform(0, 2 * np.pi), size * draw.uniform(0.32, 0.45)
    along, across = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    spread, length = draw.uniform(0, 0.25), size * draw.uniform(0.25, 0.6)
    back = size * draw.uniform(0.4, 0.6)
    palm = [at + a * along + b * width * across for a, b in ((-back, -0.45), (-back, 0.45), (0, 0.52), (0, -0.52))]
    _polygon(canvas, palm, 1.0)
    if draw.random() < 0.6:
        _line(canvas, at - back * along, at - (back + size) * along, width * draw.uniform(0.6, 0.9), 1.0)
    uneven = draw.uniform(0, 0.1)
    for place, share in zip((-0.39, -0.13, 0.13, 0.39), (0.78, 0.97, 1.0, 0.82)):
        start, angle = at + place * width * across, place * spread * 4 + draw.normal(0, 0.08)
        thick, shade = width * draw.uniform(0.2, 0.28), 1 + draw.uniform(-uneven, uneven)
        for _ in range(2):
            end = start + 0.5 * share * length * (along * np.cos(angle) + across * np.sin(angle))
            _line(canvas, start, end, thick, shade)
            start, angle, thick = end, angle + draw.normal(0, 0.15), thick * 0.95
    if draw.random() < 0.5:
        side = draw.choice([-1, 1])
        end = at + side * width * across * draw.uniform(0.7, 1.1) - along * back * draw.uniform(-0.2, 0.4)
        _line(canvas, at - 0.6 * back * along, end, width * 0.28, 1 + draw.uniform(-uneven, uneven))


def arm(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    """From the picture's border to ``at``."""
    turn = draw.uniform(0, 2 * np.pi)
    far = at + len(canvas) * np.array([np.cos(turn), np.sin(turn)])
    _line(canvas, far, at, size * draw.uniform(0.3, 0.6), 1.0)


def polygon(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    angles = np.sort(draw.uniform(0, 2 * np.pi, draw.integers(3, 8)))
    radii = size * draw.uniform(0.25, 0.7, len(angles))
    _polygon(canvas, at + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1), 1.0)


def ellipse(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    axes = np.maximum(1, size * draw.uniform(0.2, 0.6, 2)).astype(int)
    cv2.ellipse(canvas, _px(at), tuple(map(int, axes)), draw.uniform(0, 180), 0, 360, (1.0, 1.0), -1)


def bar(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    """A microphone's stand, a pen, the edge of a door; through the whole picture or not."""
    turn = draw.uniform(0, np.pi)
    half = size * draw.uniform(0.5, 3) * np.array([np.cos(turn), np.sin(turn)])
    _line(canvas, at - half, at + half, size * draw.uniform(0.05, 0.3), 1.0)


def plate(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    """A cup, a phone or a book: narrower on one side for some, a lighter or darker field within for some."""
    turn, width, height = draw.uniform(-0.7, 0.7), size * draw.uniform(0.35, 0.7), size * draw.uniform(0.4, 0.8)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * [width / 2, height / 2]
    corners[2:, 0] *= draw.choice([1.0, draw.uniform(0.6, 1.0)])
    _polygon(canvas, at + corners @ turned, 1.0)
    if draw.random() < 0.4:
        _polygon(canvas, at + 0.8 * corners @ turned, draw.uniform(0.3, 1.6))


def cloth(canvas: np.ndarray, at: np.ndarray, size: float, draw: np.random.Generator) -> None:
    """A scarf, a mask, a sleeve: all on one side of a wavy line."""
    turn, along = draw.uniform(0, 2 * np.pi), np.linspace(-2, 2, 25) * len(canvas) / 2
    wave = size * draw.uniform(0, 0.2) * np.sin(along * draw.uniform(0.02, 0.1) + draw.uniform(0, 6))
    x, y = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    edge = at + along[:, None] * x + wave[:, None] * y
    _polygon(canvas, [*edge, edge[-1] + 3 * len(canvas) * y, edge[0] + 3 * len(canvas) * y], 1.0)


SHAPES = {hand: 0.5, arm: 0.08, polygon: 0.08, ellipse: 0.1, bar: 0.06, plate: 0.1, cloth: 0.08}  # shape: how often


def thing(side: int, at: np.ndarray, size: float, draw: np.random.Generator) -> np.ndarray:
    """A random one: (side, side, 2) float32 alpha in [0, 1] and shade, about 1."""
    canvas = np.zeros((side, side, 2), np.float32)
    list(SHAPES)[draw.choice(len(SHAPES), p=list(SHAPES.values()))](canvas, at, size, draw)
    canvas[..., 1] += 1 - canvas[..., 0]  # no darker rim after the blur
    if draw.random() < 0.4:  # rounder: darker towards its outline
        depth = cv2.GaussianBlur(canvas[..., 0], (0, 0), size * draw.uniform(0.04, 0.15))
        canvas[..., 1] *= 1 - draw.uniform(0, 0.6) * (1 - depth)
    return cv2.GaussianBlur(canvas, (0, 0), draw.choice([0.5, draw.uniform(0.5, 2.0)]))


def _px(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, thick: float, shade: float) -> None:
    cv2.line(canvas, _px(start), _px(end), (1.0, shade), max(1, round(thick)))


def _polygon(canvas: np.ndarray, corners, shade: float) -> None:
    cv2.fillPoly(canvas, [np.round(np.asarray(corners)).astype(np.int32)], (1.0, shade))
