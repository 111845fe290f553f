"""What goes wrong in real pictures, done to synthetic ones whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Generator

from fitting.landmarks.base import Face, LandmarkDetector
from synthetic import Scene, uniform

DARK = 0.25  # share of the light that is left in a shadow
NOISE = 1.5  # px, standard deviation of landmarks taken from the truth


def occluder(pictures: np.ndarray, scene: Scene, g: Generator) -> np.ndarray:
    """A hand before the lower or the outer part of the face: a palm and four fingers, of one colour."""
    out = pictures.copy()
    skin = np.array([0.75, 0.55, 0.45]) * uniform(g, 0.5, 1.2)
    turn, side, height = uniform(g, -0.9, 0.9), uniform(g, -45, 45), uniform(g, -10, 60)
    for k, picture in enumerate(out):
        scale = float(scene.camera.focal / scene.truth.translation[k, 2])
        middle = scene.landmarks[k].mean(0) + np.array([side, height]) * scale
        along = np.array([np.sin(turn), -np.cos(turn)]) * scale
        across = np.array([np.cos(turn), np.sin(turn)]) * scale
        palm = [middle + a * along + b * across for a, b in ((-90, -35), (-90, 35), (5, 43), (5, -43))]
        cv2.fillPoly(picture, [np.round(palm).astype(np.int32)], skin.tolist(), cv2.LINE_AA)
        for finger, (place, length) in enumerate(zip((-33, -11, 11, 33), (70, 90, 95, 75))):
            ends = [np.round(middle + place * across + a * along).astype(int).tolist() for a in (0, length)]
            colour = (skin * (0.9 + 0.05 * finger)).tolist()
            cv2.line(picture, *ends, colour, max(1, round(20 * scale)), cv2.LINE_AA)
    return out


def half_shadow(pictures: np.ndarray, scene: Scene, g: Generator) -> np.ndarray:
    """A shadow with a soft edge across the middle of the face."""
    height, width = pictures.shape[1:3]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    angle = uniform(g, 0, 2 * np.pi)
    out = []
    for k, picture in enumerate(pictures):
        u, v = scene.landmarks[k].mean(0)
        edge = (x - u) * np.cos(angle) + (y - v) * np.sin(angle)
        light = DARK + (1 - DARK) / (1 + np.exp(-edge / 4))
        # sRGB is near a power of 2.2, which is exact enough for a shadow.
        out.append(picture * light[..., None] ** (1 / 2.2))
    return np.stack(out)


PICTURE_FAULTS = {"occluder": occluder, "shadow": half_shadow}


class FoundOrTrue:
    """MediaPipe's landmarks where it finds the synthetic face, else the true ones with noise; counts both.

    It knows a picture again by its bytes. ``wrong`` is the share of landmarks that are ``wrong_by`` px off.
    """

    name, scheme = "found or true", "mediapipe478"

    def __init__(self, inner: LandmarkDetector, scenes: list[Scene], wrong: float = 0.0, wrong_by: float = 20.0):
        self.inner, self.wrong, self.wrong_by = inner, wrong, wrong_by
        self.known = {p.tobytes(): marks for s in scenes for p, marks in zip(s.pictures, s.landmarks)}
        self.found: dict[bytes, bool] = {}

    @property
    def count_found(self) -> int:
        """In how many pictures MediaPipe found the face."""
        return sum(self.found.values())

    def detect(self, picture: np.ndarray) -> list[Face]:
        return [self._face(picture, self.inner.detect(picture))]

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face:
        face = self.inner.refine(picture, centre, size)
        return self._face(picture, [] if face is None else [face])

    def _face(self, picture: np.ndarray, faces: list[Face]) -> Face:
        key = picture.tobytes()
        truth = self.known[key]
        true_face = Face(truth, self.scheme, 1.0)
        near = [f for f in faces if np.abs(f.centre - true_face.centre).max() < true_face.size / 4]
        self.found[key] = bool(near)
        g = np.random.default_rng(int(abs(truth[0]).sum() * 1e4))
        points = near[0].points.copy() if near else truth + g.normal(0, NOISE, truth.shape)
        wrong = g.random(len(points)) < self.wrong
        angle = g.uniform(0, 2 * np.pi, len(points))
        points[wrong] += self.wrong_by * np.stack([np.cos(angle), np.sin(angle)], -1)[wrong]
        return Face(points, self.scheme, 1.0)
