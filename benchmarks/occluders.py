"""Things drawn before faces: a mask, a hand, sunglasses; about MediaPipe's landmarks, in px."""

import cv2
import numpy as np

JAW = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454]
OVER_THE_NOSE = [347, 197, 118]
EYES = ((263, 362), (33, 133))  # outer and inner corners


def mask(picture, points, colour=(120, 160, 210)):
    """From the nose's bridge down, in one colour; (H, W, 3) uint8."""
    jaw = points[JAW] + 0.03 * (points[JAW] - points.mean(0))
    return _painted(picture, [np.concatenate([jaw, points[OVER_THE_NOSE]])], colour)


def hand(picture, points, colour=(190, 140, 115), at=None):
    """A palm and four fingers before the mouth, or about ``at``."""
    middle, scale = points[[13, 14]].mean(0) if at is None else at, np.ptp(points, axis=0).max() / 190
    palm = middle + scale * np.array([(-130, -38), (-130, 38), (5, 43), (5, -43)])
    out = _painted(picture, [palm], colour)
    for place, length in zip((-33, -11, 11, 33), (70, 90, 95, 75)):
        ends = [np.round(middle + scale * np.array([x, place])).astype(int).tolist() for x in (0, length)]
        cv2.line(out, *ends, (0.9 + 0.003 * place) * np.array(colour), round(20 * scale), cv2.LINE_AA)
    return out


def sunglasses(picture, points, colour=(15, 15, 18)):
    out = picture.copy()
    for outer, inner in EYES:
        width = np.linalg.norm(points[outer] - points[inner])
        middle = np.round(points[[outer, inner]].mean(0)).astype(int).tolist()
        cv2.ellipse(out, middle, (round(0.85 * width), round(0.6 * width)), 0, 0, 360, colour, -1, cv2.LINE_AA)
    bridge = [np.round(points[inner]).astype(int).tolist() for _, inner in EYES]
    cv2.line(out, *bridge, colour, 5, cv2.LINE_AA)
    return out


def _painted(picture, outlines, colour):
    out = picture.copy()
    for outline in outlines:
        cv2.fillPoly(out, [np.round(outline).astype(np.int32)], colour, cv2.LINE_AA)
    return out
