"""Hair as a surface of strands: each runs from the crown over the skull to its edge, and may hang down from there.

Angles are the azimuth about the upright axis, 0 at the nose and positive to the subject's left, and the polar angle
from the crown down. Sizes are in millimetres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from synthetic.wear.solid import Solid

MIDDLE = (0.0, 45.0, 5.0)  # of the skull, model frame
STRANDS, ALONG, DOWN = 96, 22, 14  # about the head; points of each on the skull, and of what hangs
KERNEL = math.radians(7)  # within what the skull is smoothed
BARE = ("ears", "eyes", "mouth_inside", "tongue", "teeth")  # what no hair follows
SIDES = np.array([0, 45, 62, 80, 100, 125, 180.0])  # azimuths, degrees, at which edges are given
SHORT = np.array([66, 66, 76, 98, 104, 116, 120.0])  # polar angles, degrees, of a plain hairline


@dataclass(frozen=True)
class Style:
    """Bounds within which a head of hair is drawn."""

    share: float  # of people
    thick: tuple[float, float]
    edge: tuple[float, float] = (-5.0, 4.0)  # degrees by which the hairline is lower than the plain one
    fringe: tuple[float, float] = (0.0, 0.0)  # degrees by which it's lower above the forehead
    hangs: tuple[float, float] = (0.0, 0.0)  # how far it falls beside and behind the head
    curls: float = 0.0  # how uneven the surface is, of its thickness
    bun: bool = False


STYLES: dict[str, Style | None] = {
    "bald": None,  # or shaved: what is painted on the scalp
    "short": Style(0.28, (5, 12)),
    "full": Style(0.16, (14, 26), fringe=(-2, 8), curls=0.12),
    "curly": Style(0.12, (18, 36), fringe=(-2, 8), curls=0.35),
    "fringe": Style(0.08, (8, 16), fringe=(12, 20)),
    "long": Style(0.16, (8, 18), hangs=(110, 210)),
    "bob": Style(0.08, (10, 20), fringe=(6, 20), hangs=(60, 100)),
    "bun": Style(0.06, (4, 9), bun=True),
}


def skull(model, identity, azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
    """Radii of a person's head from `MIDDLE` in directions of any shape; ears and what is inside are left out."""
    bare = torch.stack([model.region(name) for name in BARE]).any(0)
    vertices = model.vertices(identity, model.blocks["expression"].mean, torch.zeros(2, 2))[~bare].numpy() - MIDDLE
    radii = np.linalg.norm(vertices, axis=-1)
    near = direction(azimuth, polar).reshape(-1, 3) @ (vertices / radii[:, None]).T
    weights = np.exp((near - near.max(1, keepdims=True)) / KERNEL**2)
    return ((weights @ radii) / weights.sum(1)).reshape(azimuth.shape)


def direction(azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) of angles in radians."""
    flat = np.sin(polar)
    return np.stack([flat * np.sin(azimuth), np.cos(polar), flat * np.cos(azimuth)], -1)


def make_hair(model, identity, style: str, tone: np.ndarray, draw: np.random.Generator) -> Solid | None:
    """A person's hair in a style; None for bald.

    tone: (3,) linear RGB. draw: gives everything else, so that two people of one style differ.
    """
    kind = STYLES[style]
    if kind is None:
        return None
    azimuth = np.linspace(-math.pi, math.pi, STRANDS + 1)
    away = np.degrees(np.abs(azimuth))
    edge = np.interp(away, SIDES, SHORT) + draw.uniform(*kind.edge)
    front = np.clip((68 - away) / 24, 0, 1)
    edge = edge + draw.uniform(*kind.fringe) * front + 4 * smooth(draw, STRANDS + 1, 4) * front
    side = np.clip((away - 58) / 14, 0, 1)  # where hair hangs
    fall = draw.uniform(*kind.hangs)
    if fall:
        edge = edge + side * (96 - edge)
    along = np.linspace(0, 1, ALONG)[:, None]
    polar = np.radians(edge) * along
    bumps = gaussian_filter(draw.standard_normal((ALONG, STRANDS + 1)), (1.0, 2.0), mode=("nearest", "wrap"))
    bumps = kind.curls * bumps / bumps.std()
    ends = np.clip((1 - along) / 0.2, 0, 1) ** 0.6  # where it doesn't hang, it comes down to the skin
    ends = np.maximum(ends, side) if fall else ends
    parting = 0.5 * np.exp(-(((azimuth - draw.uniform(-0.7, 0.7)) / 0.12) ** 2)) * np.clip(along * 4, 0, 1)
    thick = draw.uniform(*kind.thick) * (1 + bumps) * (1 - parting)
    reach = skull(model, identity, np.broadcast_to(azimuth, polar.shape), polar) + thick * ends - 1.5 * (1 - ends)
    points = np.array(MIDDLE) + reach[..., None] * direction(np.broadcast_to(azimuth, polar.shape), polar)
    colour = strands(tone, len(points), draw)
    solids = [Solid.grid(torch.from_numpy(points), torch.from_numpy(colour))]
    if fall:
        solids.append(hanging(points[-1], side > 0.5, azimuth, fall, tone, draw))
    if kind.bun:
        solids.append(bun(points[:, 0], tone, draw))
    return Solid.joined(solids)


def hanging(start: np.ndarray, where: np.ndarray, azimuth: np.ndarray, fall: float, tone, draw) -> Solid:
    """The strands that go on below the edge (C, 3), a little wavy and drawn together at their ends."""
    order = np.argsort(azimuth[where] % (2 * math.pi))  # from the left, behind the head, to the right
    start, angle = start[where][order], azimuth[where][order] % (2 * math.pi)
    t = np.linspace(0, 1, DOWN)[:, None]
    length = fall * (1 + 0.05 * smooth(draw, len(start), 3))
    wave = draw.uniform(0, 5) * np.sin(2 * math.pi * (t * draw.uniform(1, 2.5) + draw.uniform(0, 1)))
    inwards = 1 - t**2 * draw.uniform(0.0, 0.2) + wave / 90
    points = np.stack([
        start[:, 0] * inwards + 0 * t,
        start[:, 1] - length * t,
        MIDDLE[2] + (start[:, 2] - MIDDLE[2]) * inwards - 10 * t * np.cos(angle),
    ], -1)  # fmt: skip
    return Solid.grid(torch.from_numpy(points), torch.from_numpy(strands(tone, DOWN, draw, len(start))))


def bun(line: np.ndarray, tone: np.ndarray, draw: np.random.Generator) -> Solid:
    """A knot on the line of strands (R, 3) that runs down the back of the head."""
    middle = line[int(len(line) * draw.uniform(0.25, 0.6))]
    out = (middle - MIDDLE) / np.linalg.norm(middle - np.array(MIDDLE))
    radius = draw.uniform(24, 36)
    azimuth, polar = np.meshgrid(np.linspace(-math.pi, math.pi, 25), np.linspace(0, math.pi, 13))
    points = middle + radius * (0.6 * out + direction(azimuth, polar))
    return Solid.grid(torch.from_numpy(points), torch.from_numpy(strands(tone, 13, draw, 25)))


def strands(tone: np.ndarray, along: int, draw: np.random.Generator, count: int = STRANDS + 1) -> np.ndarray:
    """(along, count, 3): strands lighter and darker than the tone, and lighter towards the crown's sheen."""
    shade = 1 + 0.28 * draw.standard_normal((1, count)) + 0.08 * draw.standard_normal((along, count))
    shade[:, -1] = shade[:, 0]
    sheen = 1 + 0.5 * np.exp(-(((np.arange(along)[:, None] / along - 0.45) / 0.2) ** 2))
    return (tone * (shade.clip(0.45, 1.8) * sheen)[..., None]).clip(0, 0.9)


def smooth(draw: np.random.Generator, count: int, width: float) -> np.ndarray:
    """(count,) smooth noise of unit standard deviation that closes on itself."""
    noise = gaussian_filter1d(draw.standard_normal(count), width, mode="wrap")
    return noise / noise.std()


def style_of(draw: np.random.Generator) -> str:
    """A style by chance, each as often as its share; the rest are bald."""
    names = [name for name, kind in STYLES.items() if kind is not None]
    at = np.searchsorted(np.cumsum([STYLES[name].share for name in names]), draw.random(), side="right")
    return names[at] if at < len(names) else "bald"
