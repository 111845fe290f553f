"""Hair that lies on the skin: brows, stubble, and the short hair of the scalp. Sizes are in millimetres."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from synthetic.skin.colors import MELANIN, RED_HAIR, STUBBLE, noise
from synthetic.skin.marks import texel_of

FINE = 512  # texels a side at which strands are drawn, whatever the atlas's size is

TONES = np.array(
    [[0.012, 0.010, 0.009], [0.05, 0.03, 0.018], [0.16, 0.09, 0.045], [0.28, 0.20, 0.11], [0.22, 0.20, 0.19]]
)  # black, brown, chestnut, blond, grey; linear RGB


def stubble(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """A shadow of a beard to a short beard, about mouth, chin and jaw: two in five have one."""
    if draw.random() > 0.4:
        return
    strength, shadow = draw.uniform(0.1, 1.1), draw.uniform(0.3, 0.7)
    x, y, z = np.moveaxis(atlas.points, -1, 0)
    marks = atlas.landmarks
    nose, chin, corner = marks[33, 1], marks[8, 1], marks[54]
    # From the upper lip down, and along the jaw up to the ears; the cheek's border is drawn for each person.
    border = (
        nose
        - 4
        - draw.uniform(8, 26) * np.clip((np.abs(x) - corner[0]) / 30, 0, 1)
        + 40 * np.clip((np.abs(x) - 58) / 25, 0, 1)
    )
    soft = lambda a, width: 1 / (1 + np.exp(-a / width))  # noqa: E731
    area = soft(border - y, 2.5) * soft(y - chin + 22, 4.0) * soft(z - 5, 6.0)
    area *= 1 - gaussian_filter(np.maximum(atlas.lips, 0), 0.004 * atlas.size)
    grain = at_size(draw.random((FINE, FINE)).astype(np.float32), atlas.size)
    density = 0.8 + 0.4 * noise(atlas.size, 10, draw).clip(-1, 1)
    amount = strength * area * density * (shadow + (1 - shadow) * 2 * grain)
    depth += amount[..., None] * STUBBLE


def brows(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """Strands along both brows, alike in form, none of them the same."""
    strength, thick, lift = draw.uniform(0.5, 1.9), draw.uniform(2.5, 6.0), draw.uniform(-1.5, 2.5)
    count, length = int(draw.uniform(90, 220)), draw.uniform(5.0, 9.0)
    color = MELANIN if draw.random() < 0.8 else RED_HAIR
    layer, scale = np.zeros((FINE, FINE), np.float32), FINE / atlas.size
    for side in (1, -1):
        line = atlas.landmarks[22:27] * [side, 1, 1]  # inner to outer end
        t = draw.uniform(0, 1, count)
        along = np.stack([np.interp(t * 4, np.arange(5), line[:, k]) for k in range(3)], -1)
        # Full at the inner end, thin at the outer one.
        spread = thick * (1 - 0.65 * t) * draw.uniform(-0.5, 0.5, count)
        start = along + np.stack([np.zeros(count), spread + lift, np.zeros(count)], -1)
        lean = np.stack([side * (0.35 + 0.65 * t), 0.9 - 1.2 * t, -0.4 * t], -1) + draw.normal(0, 0.12, (count, 3))
        end = start + length * (1 - 0.3 * t)[:, None] * lean * 0.6
        strokes = [[np.array(texel_of(atlas, p)[::-1]) for p in pair] for pair in zip(start, end)]
        for (a, b), weight in zip(strokes, draw.uniform(0.3, 0.8, count)):
            ends = ((16 * scale * (p + 0.5)).astype(int).tolist() for p in (a, b))  # in sixteenths of a texel
            cv2.line(layer, *ends, float(weight), 1, cv2.LINE_AA, 4)
    small = at_size(gaussian_filter(layer, 0.6), atlas.size)
    depth += (strength * 2.0 * small)[..., None] * color


def tone_of(draw: np.random.Generator) -> np.ndarray:
    """(3,) linear RGB of somebody's hair."""
    return TONES[draw.choice(5, p=[0.35, 0.3, 0.15, 0.12, 0.08])] * draw.uniform(0.8, 1.25)


def hair(albedo: np.ndarray, atlas, draw: np.random.Generator) -> np.ndarray:
    """The scalp's colour: short hair of some tone, or shaved; the hairline is a little different in each."""
    tone = tone_of(draw)
    amount = draw.uniform(0.6, 0.97) if draw.random() < 0.8 else draw.uniform(0.05, 0.4)
    warp = draw.uniform(-0.25, 0.25) + 0.12 * noise(atlas.size, 12, draw)
    soft = gaussian_filter(atlas.scalp, 0.012 * atlas.size)
    area = np.clip((soft + warp * 4 * soft * (1 - soft) - 0.35) / 0.3, 0, 1) * amount
    strands = at_size(draw.random((24, 160)).astype(np.float32), atlas.size)
    colored = tone * (0.6 + 0.8 * strands[..., None])
    return albedo + (area * atlas.island)[..., None] * (colored - albedo)


def at_size(layer: np.ndarray, size: int) -> np.ndarray:
    """A layer at (size, size)."""
    way = cv2.INTER_AREA if min(layer.shape) > size else cv2.INTER_CUBIC
    return cv2.resize(layer, (size, size), interpolation=way)
