"""Skin detail painted into an albedo texture: blotches, freckles, moles, brows, stubble, lips, hair of the scalp.

What is painted absorbs light: each layer multiplies the linear albedo by exp(-depth * colour), with the colours of
melanin, blood and hair. What is drawn, and where, doesn't depend on the atlas's size.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from synthetic.skin.colors import BLOOD, MELANIN, noise
from synthetic.skin.hairs import brows, hair, stubble, tone_of
from synthetic.skin.marks import freckles, moles


def paint(albedo: np.ndarray, atlas, draw: np.random.Generator) -> np.ndarray:
    """(S, S, 3) linear albedo with a person's own detail.

    albedo: (S, S, 3), of the model. atlas: a ``SkinAtlas`` of the same size. `hair_tone` tells the hair's colour.
    """
    depth = np.zeros_like(albedo)
    for layer in LAYERS:
        layer(depth, atlas, np.random.default_rng(draw.integers(2**63)))
    painted = albedo * np.exp(-depth * atlas.island[..., None])
    return hair(painted, atlas, np.random.default_rng(draw.integers(2**63))).astype(np.float32)


def hair_tone(draw: np.random.Generator) -> np.ndarray:
    """(3,) linear RGB of the hair that `paint` gives the person of this generator."""
    draw.integers(2**63, size=len(LAYERS))
    return tone_of(np.random.default_rng(draw.integers(2**63)))


def blotches(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """Uneven pigment and blood, from the width of a cheek down to pores."""
    for color, strength in ((MELANIN, draw.uniform(0.02, 0.09)), (BLOOD, draw.uniform(0.03, 0.12))):
        amount = sum(noise(atlas.size, 6 * 2**k, draw) * 0.75**k for k in range(5))
        depth += (strength * 0.5 * amount * (atlas.skin > 0))[..., None] * color


def cheeks_and_eyes(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """Red cheeks and nose, dark rings under the eyes, alike on both sides."""
    marks = atlas.landmarks
    cheek = (marks[[1, 31]].mean(0) + marks[[15, 35]].mean(0) * [-1, 1, 1]) / 2
    ring = marks[[40, 41]].mean(0) - [0, 8, 0]
    for center, width, color, top in (
        (cheek, 18, BLOOD, 0.35), (marks[30], 10, BLOOD, 0.3), (ring, 9, MELANIN, 0.3), (ring, 9, BLOOD, 0.25)
    ):  # fmt: skip
        strength = draw.uniform(0, top)
        sides = {tuple(center), tuple(center * [-1, 1, 1])}
        for side in sides:
            squared = np.square(atlas.points - np.array(side)).sum(-1)
            depth += (strength / len(sides) * 2 * np.exp(-squared / (2 * width**2)))[..., None] * color


def lips(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """Their tone: paler to made up."""
    soft = gaussian_filter(atlas.lips, 0.006 * atlas.size)
    amount = draw.uniform(-0.15, 0.35) + (draw.uniform(0.3, 0.9) if draw.random() < 0.15 else 0)
    depth += (amount * soft)[..., None] * BLOOD


LAYERS = (blotches, freckles, moles, cheeks_and_eyes, lips, stubble, brows)
