"""Reflectance: maps drawn from a biophysical skin model, and their principal components."""

from __future__ import annotations

import numpy as np

from .topology import EYE_RADIUS, Topology
from .eyeball import IRIS_RADIUS, PUPIL_RADIUS


def build_reflectance(topology: Topology, fields: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (V, 3) and basis (80, V, 3) in linear RGB."""
    f = {k: v[:, None] for k, v in fields.items()}
    mean = np.full((topology.count, 3), 1.0) * [0.45, 0.27, 0.19]

    def over(color, amount):
        nonlocal mean
        mean = mean * (1 - amount) + np.array(color) * amount

    over([0.38, 0.14, 0.11], f["lips"] * 0.8)
    over([0.08, 0.05, 0.035], f["brows"] * 0.75)
    over([0.10, 0.065, 0.045], f["scalp"] * 0.9)
    over([0.18, 0.03, 0.03], f["mouth"])
    over([0.7, 0.66, 0.55], (topology.parts["upper_teeth"] | topology.parts["lower_teeth"])[:, None])
    for eye in topology.eye_vertices:
        r = np.sin(np.minimum(topology.eye_polar, np.pi / 2)) * EYE_RADIUS
        color = np.where((r < IRIS_RADIUS)[:, None], [0.10, 0.07, 0.05], [0.62, 0.58, 0.56])
        mean[eye] = np.where((r < PUPIL_RADIUS)[:, None], [0.005, 0.005, 0.005], color)
    rng = np.random.default_rng(5)
    basis = np.zeros((80, topology.count, 3))
    basis[0] = -0.35 * mean * f["head"] + 0
    basis[1] = [0.02, -0.01, -0.01] * f["head"]
    basis[2:] = 0.002 * rng.normal(size=(78, 1, 3)) * f["head"]
    return mean, basis
