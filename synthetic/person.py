"""A synthetic person: identity, reflectance, and skin detail painted into the chart, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from renderer import chart_values, extend, main_island
from renderer.unwrapping import uv_fragments
from synthetic import skin

WITHIN = 2.5  # standard deviations: the model isn't meant beyond


@dataclass(frozen=True)
class SkinChart:
    """What painting needs of a model's chart, once for all people. All (S, S, ...) numpy arrays, row 0 at v = 1."""

    points: np.ndarray  # (S, S, 3) float32 mm, on the mean head
    skin: np.ndarray  # (S, S) float32, 0 to 1: how far a texel belongs to the face's skin
    scalp: np.ndarray
    lips: np.ndarray
    island: np.ndarray  # (S, S) bool, the main island
    known: np.ndarray  # (S, S) bool, the whole chart
    landmarks: np.ndarray  # (68, 3) mm, iBUG's on the mean head

    @property
    def size(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, model, size: int) -> SkinChart:
        """``size``: texels a side."""
        region = lambda name: chart_values(model, model.regions[name].float()[:, None], size)[..., 0].numpy()  # noqa: E731
        return cls(
            points=chart_values(model, model.mean, size).numpy(),
            skin=region("skin"),
            scalp=region("scalp"),
            lips=region("lips"),
            island=main_island(model, size).numpy(),
            known=uv_fragments(model, (size, size)).mask[0].numpy(),
            landmarks=model.landmarks(model.mean, "ibug68").numpy(),
        )


@dataclass(frozen=True)
class Person:
    """Who doesn't change from picture to picture."""

    seed: tuple[int, ...]
    identity: Tensor  # (I,) standard deviations
    reflectance: Tensor  # (A,)
    albedo: Tensor  # (S, S, 3) linear RGB, detail included, extended beyond the chart


def make_person(model, chart: SkinChart, *seed: int) -> Person:
    """The person of a seed (any whole numbers from 0): the same on every call, whatever was drawn before."""
    draw = np.random.default_rng([*seed, 0])
    normal = lambda n: torch.from_numpy(draw.standard_normal(n).clip(-WITHIN, WITHIN)).float()  # noqa: E731
    identity, reflectance = normal(len(model.identity_basis)), normal(len(model.albedo_basis))
    base = chart_values(model, model.albedo(reflectance), chart.size).numpy()
    painted = skin.paint(base, chart, np.random.default_rng([*seed, 1]))
    albedo = extend(torch.from_numpy(painted), torch.from_numpy(chart.known))
    return Person(seed, identity, reflectance, albedo.clamp(0.005, 0.98).contiguous())
