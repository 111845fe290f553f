"""Round marks on the skin: freckles and moles. Sizes are in millimetres on the mean head."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.special import expit

from synthetic.skin.colors import MELANIN


def spots(
    depth: np.ndarray,
    atlas,
    centers: np.ndarray,  # (N, 3) mm
    radii: np.ndarray,  # (N,) mm
    strengths: np.ndarray,  # (N,)
    color: np.ndarray,
) -> None:
    """Round spots with soft borders on the surface."""
    limit = atlas.size - 1
    for center, radius, strength in zip(centers, radii, strengths):
        row, column = texel_of(atlas, center)
        reach = 2 + int(np.ceil(6 * radius * atlas.size / 256))
        rows = slice(max(row - reach, 0), min(row + reach, limit) + 1)
        columns = slice(max(column - reach, 0), min(column + reach, limit) + 1)
        distance = np.linalg.norm(atlas.points[rows, columns] - center, axis=-1)
        inwards = column + (1 if column < atlas.size / 2 else -1)
        texel = np.linalg.norm(atlas.points[row, column] - atlas.points[row, inwards])
        wide = max(radius, 0.7 * texel)  # a spot smaller than a texel is spread over it
        amount = strength * (radius / wide) ** 2 * expit(6 * (1 - distance / wide))
        depth[rows, columns] += (amount * atlas.island[rows, columns])[..., None] * color


def texel_of(atlas, center: np.ndarray) -> tuple[int, int]:
    """Row and column of the face's texel nearest to a point in mm: the atlas is a cylinder's, nearly."""
    step = max(1, atlas.size // 64)
    coarse = atlas.points[::step, ::step] + 1e4 * ~atlas.island[::step, ::step, None]
    row, column = np.unravel_index(np.square(coarse - center).sum(-1).argmin(), coarse.shape[:2])
    rows = slice(max(row * step - step, 0), row * step + step + 1)
    columns = slice(max(column * step - step, 0), column * step + step + 1)
    fine = atlas.points[rows, columns] + 1e4 * ~atlas.island[rows, columns, None]
    r, c = np.unravel_index(np.square(fine - center).sum(-1).argmin(), fine.shape[:2])
    return rows.start + int(r), columns.start + int(c)


def places(atlas, count: int, draw: np.random.Generator, weight: np.ndarray | None = None) -> np.ndarray:
    """(count, 3) mm: points on the face's skin, by chance; ``weight`` (W, W) says where more of them are."""
    grid = cv2.resize(atlas.skin * atlas.island, (64, 64), interpolation=cv2.INTER_NEAREST) > 0.99
    chance = grid.astype(np.float64) if weight is None else grid * weight
    chosen = draw.choice(64 * 64, count, p=chance.ravel() / chance.sum())
    shift = draw.uniform(0, 1, (count, 2))
    at = (np.stack(np.divmod(chosen, 64), -1) + shift) / 64 * atlas.size
    rows, columns = np.minimum(at.astype(int), atlas.size - 1).T
    return atlas.points[rows, columns]


def freckles(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """A third of people have them, about the nose and the cheeks most."""
    if draw.random() > 0.35:
        return
    count = int(draw.uniform(40, 260))
    v, u = np.mgrid[0:64, 0:64] / 64 + 1 / 128
    about = np.exp(-(((u - 0.5) / 0.22) ** 2) - ((v - 0.47) / 0.13) ** 2) + 0.06
    radii, strengths = draw.uniform(0.5, 1.5, count), draw.uniform(0.1, 0.45, count)
    spots(depth, atlas, places(atlas, count, draw, about), radii, strengths, MELANIN)


def moles(depth: np.ndarray, atlas, draw: np.random.Generator) -> None:
    """A few each, some of them large."""
    count = min(int(draw.gamma(1.5, 4.0)), 25)
    radii, strengths = draw.gamma(3.0, 0.45, count).clip(0.6, 4.0), draw.uniform(0.4, 1.3, count)
    spots(depth, atlas, places(atlas, count, draw), radii, strengths, MELANIN)
