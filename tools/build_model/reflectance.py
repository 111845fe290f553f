"""Reflectance: faces painted with a biophysical skin model, and their principal components, in linear RGB.

There's no free statistical albedo to learn from. Instead people are drawn at random: how much melanin and blood their
skin holds, how both differ from place to place (cheeks, nose, lips, lids, ears, freckles, blotches), what hair they
have and where (brows, beard, scalp), the colour of their irises. All of it is smooth enough for the mesh's vertices.
"""

from __future__ import annotations

import numpy as np

from tools.build_model.components import combine, principal_components
from tools.build_model.eyeball import IRIS_RADIUS, PUPIL_RADIUS
from tools.build_model.identity import Identity
from tools.build_model.regions import smooth_step
from tools.build_model.skin import skin_color
from tools.build_model.topology import EYE_RADIUS, Topology

SAMPLES = 1200
COMPONENTS = 80
SEED = 20240301
BLOTCHES = 150  # smooth spots of a size to draw from
DARKEST = 0.002
HAIR = np.array([  # linear RGB: black, dark brown, brown, red, blond, grey, white
    [0.012, 0.010, 0.009], [0.030, 0.019, 0.013], [0.075, 0.044, 0.027], [0.17, 0.062, 0.026], [0.27, 0.18, 0.095],
    [0.20, 0.19, 0.18], [0.42, 0.41, 0.39],
])  # fmt: skip
IRISES = np.array([  # linear RGB: dark brown, brown, hazel, green, blue, grey
    [0.022, 0.012, 0.007], [0.062, 0.031, 0.015], [0.12, 0.085, 0.035], [0.11, 0.13, 0.075], [0.11, 0.17, 0.24],
    [0.17, 0.20, 0.22],
])  # fmt: skip
SCLERA = np.array([0.60, 0.56, 0.53])
PUPIL = np.array([0.006, 0.006, 0.006])
CAVITY = np.array([0.16, 0.03, 0.027])
TONGUE = np.array([0.30, 0.085, 0.08])
TEETH = np.array([0.62, 0.57, 0.46])


def build_reflectance(
    topology: Topology, fields: dict[str, np.ndarray], identity: Identity
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (V, 3), basis (80, V, 3) a standard deviation, and the share of the variance kept."""
    rng = np.random.default_rng(SEED)
    blotches = Blotches(identity.mean, rng)
    maps = np.stack([paint_person(topology, fields, identity.mean, blotches, rng) for _ in range(SAMPLES)])
    mean = maps.mean(0)
    mean = (mean + mean[topology.mirror]) / 2
    maps -= mean
    same = np.ones(3)
    weight = component_weights(topology, fields)
    scores, kept = principal_components(maps, topology.mirror, same, weight, COMPONENTS)
    return mean, combine(scores, maps, topology.mirror, same), kept


def component_weights(topology: Topology, fields: dict[str, np.ndarray]) -> np.ndarray:
    """(V,) The skin of the face counts most, then irises and scalp; what is hidden follows."""
    weight = (
        1.0 * fields["head"] * (1 - 0.85 * fields["scalp"]) * (1 - 0.7 * fields["neck"]) * (1 - 0.7 * fields["ears"])
    )
    iris = np.zeros(topology.count)
    for eye in topology.eye_vertices:
        iris[eye] = np.sin(np.minimum(topology.eye_polar, np.pi / 2)) * EYE_RADIUS < IRIS_RADIUS
    return weight + 0.3 * iris


def paint_person(topology: Topology, fields: dict[str, np.ndarray], mean: np.ndarray, blotches, rng) -> np.ndarray:
    """(V, 3) linear RGB of somebody at random."""
    darkness = rng.beta(1.1, 1.3)  # 0 fair, 1 dark
    melanin, blood = _skin(fields, blotches, darkness, rng)
    color = skin_color(melanin, blood)
    hair = _hair_color(darkness, rng)
    for amount, tint in _hair(fields, mean, hair, rng):
        color += (tint - color) * amount[:, None]
    lashes = 0.45 * fields["lashes"] * rng.uniform(0.5, 1.2)
    color += (0.3 * hair - color) * np.clip(lashes, 0, 0.9)[:, None]
    lit = (0.2 + 0.8 * smooth_step(mean[:, 2], 55, 112))[:, None]  # little light gets deep into the mouth
    inside = rng.normal(1.0, 0.12) * lit
    color += (CAVITY * inside - color) * topology.parts["mouth_cavity"][:, None]
    color += (TONGUE * inside - color) * topology.parts["tongue"][:, None]
    _paint_eyes(color, topology, darkness, rng)
    color += (np.array([0.42, 0.17, 0.14]) - color) * (topology.parts["eye_cavity"][:, None] * 0.8)
    teeth = topology.parts["upper_teeth"] | topology.parts["lower_teeth"]
    color[teeth] = (TEETH * rng.normal(1.0, 0.08) * (0.3 + 0.7 * lit))[teeth]
    return np.clip(color, DARKEST, 0.98)


def _skin(fields, blotches: Blotches, darkness: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of melanin and blood (V,) over the face."""
    f = fields
    log_melanin = np.log(0.013) + (np.log(0.34) - np.log(0.013)) * darkness**0.9
    tan = rng.normal(0, 0.1)
    log_melanin = log_melanin + (
        0.12 * rng.normal(0.4, 1) * f["forehead"]
        + tan * (f["forehead"] + f["nose"] - f["neck"] - 0.5 * f["lid_shade"])
        + rng.normal(0.12, 0.15) * f["lid_shade"]
        + abs(rng.normal(0, 0.2)) * f["under_eye"]
        + rng.normal(0.1, 0.1) * f["neck"]
        + 0.13 * blotches.draw(25.0, rng)
        + 0.08 * blotches.draw(10.0, rng)
    )
    freckles = max(0.0, rng.normal(-0.3, 0.5)) * (1 - darkness)
    log_melanin += freckles * np.maximum(blotches.draw(6.0, rng), 0) * np.maximum(f["cheeks"], f["nose"])
    log_melanin += np.log(0.75 + 0.25 * darkness) * f["lips"]
    log_blood = (
        np.log(0.011)
        + rng.normal(0, 0.28)
        + (
            abs(rng.normal(0.42, 0.3)) * f["cheeks"]
            + abs(rng.normal(0.4, 0.3)) * f["nose_tip"]
            + rng.normal(0.15, 0.15) * f["nose"]
            + rng.normal(0.35, 0.15) * f["ears"]
            + rng.normal(0.2, 0.15) * f["lid_shade"]
            + rng.normal(-0.1, 0.15) * f["forehead"]
            + rng.normal(1.75, 0.4) * f["lips"]
            + rng.normal(0.25, 0.2) * f["lids"]
            + 0.16 * blotches.draw(25.0, rng)
            + 0.14 * blotches.draw(10.0, rng)
        )
    )
    return np.exp(log_melanin), np.exp(log_blood)


class Blotches:
    """Smooth random fields over the face, about unit variance there, mostly mirror-symmetric."""

    def __init__(self, mean: np.ndarray, rng):
        self.front = mean[:, 2] > 40
        self.banks = {size: self._bank(mean, size, rng) for size in (6.0, 10.0, 25.0)}

    @staticmethod
    def _bank(mean: np.ndarray, size: float, rng) -> np.ndarray:
        """(V, BLOTCHES) spots of this size in mm."""
        middles = rng.normal(0, 1, (BLOTCHES, 3)) * [55, 60, 25] + [0, -5, 85]
        reach = size * (1 + 0.3 * rng.uniform(-1, 1, BLOTCHES))

        def spots(points: np.ndarray) -> np.ndarray:
            squared = (points**2).sum(1)[:, None] - 2 * points @ middles.T + (middles**2).sum(1)
            return np.exp(-squared / (2 * reach**2))

        return spots(mean) + 0.8 * spots(mean * [-1, 1, 1])

    def draw(self, size: float, rng) -> np.ndarray:
        bank = self.banks[size]
        field = bank @ (rng.normal(0, 1, bank.shape[1]) * (rng.uniform(size=bank.shape[1]) < 0.35))
        return field / max(field[self.front].std(), 1e-6)


def _hair_color(darkness: float, rng) -> np.ndarray:
    fair = 1 - darkness
    chance = np.array([0.5 + 2 * darkness, 1.0, 0.7 * fair + 0.1, 0.12 * fair, 0.5 * fair**2, 0.25, 0.1])
    two = rng.choice(len(HAIR), 2, p=chance / chance.sum())
    t = rng.beta(0.6, 0.6)
    return (HAIR[two[0]] ** (1 - t)) * (HAIR[two[1]] ** t) * rng.lognormal(0, 0.15)


def _hair(fields, mean, hair: np.ndarray, rng):
    """Pairs of coverage (V,) and colour (3,) for brows, beard and scalp."""
    x, y, z = mean.T
    brows = fields["brows"] ** rng.uniform(0.6, 1.3) * rng.uniform(0.45, 1.0)
    yield np.clip(brows * (1 + rng.normal(0, 0.25) * (np.abs(x) - 32) / 22), 0, 0.95), hair * 0.8
    if rng.uniform() < 0.42:
        stubble = rng.beta(1.2, 2.2)
        beard = fields["beard"] * stubble * (1 - 0.5 * rng.uniform() * smooth_step(np.abs(x), 30, 45))
        yield np.clip(beard, 0, 0.9), 0.7 * hair + 0.02
        yield np.clip(fields["moustache"] * rng.uniform(0, 0.6), 0, 0.8), hair
    rise = rng.normal(0, 6)
    edge = smooth_step(fields["scalp_height"], rise - 5, rise + 5)
    coverage = 1.0 if rng.uniform() < 0.8 else rng.uniform(0, 0.6)
    yield edge * coverage * rng.uniform(0.85, 0.98), hair


def _paint_eyes(color: np.ndarray, topology: Topology, darkness: float, rng) -> None:
    chance = np.array([0.6 + darkness, 0.8, 0.35, 0.15, 0.4, 0.15]) * np.array([1, 1, *[(1 - darkness) ** 1.5] * 4])
    two = rng.choice(len(IRISES), 2, p=chance / chance.sum())
    t = rng.beta(0.7, 0.7)
    iris = (IRISES[two[0]] * (1 - t) + IRISES[two[1]] * t) * rng.lognormal(0, 0.15)
    white = SCLERA * np.array([1, 1 - 0.03 * darkness, 1 - 0.09 * darkness]) * rng.normal(1.0, 0.06)
    red = rng.uniform(0.0, 0.35)
    for eye in topology.eye_vertices:
        r = np.sin(np.minimum(topology.eye_polar, np.pi / 2)) * EYE_RADIUS
        r = np.where(topology.eye_polar > np.pi / 2, EYE_RADIUS, r)[:, None]
        inner = np.where(r < 3.6, 1.15, np.where(r > IRIS_RADIUS - 0.5, 0.55, 0.95)) * iris
        ball = white * (1 - red * smooth_step(r, 7.0, 11.5) * np.array([0.1, 0.45, 0.5]))
        color[eye] = np.where(r < PUPIL_RADIUS, PUPIL, np.where(r < IRIS_RADIUS, inner, ball))
