"""A synthetic person: identity, reflectance and, where it's painted, skin of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from renderer import Camera, atlas_values, extend, render, render_textured
from synthetic.chance import Chance, NumpyChance
from synthetic.skin import SkinAtlas, paint

WITHIN = 2.5  # standard deviations: the model isn't meant beyond


@dataclass(frozen=True)
class Person:
    """Who doesn't change from picture to picture."""

    identity: Tensor  # (I,)
    reflectance: Tensor  # (A,)
    albedo: Tensor | None = None  # (S, S, 3) linear RGB, painted, extended beyond the atlas; None is the model's own

    def draw(self, model, parameters, camera: Camera) -> tuple[Tensor, Tensor]:
        """Pictures of the head under parameters that have this identity: (N, H, W, 3) sRGB times alpha, and alpha.

        Alpha is (N, H, W, 1) in [0, 1]: black where nothing is.
        """
        if self.albedo is None:
            maps = render(model, parameters, camera, maps=("diffuse", "mask"), supersample=2)
            return maps["diffuse"], maps["mask"]
        picture, alpha = render_textured(model, parameters, camera, self.albedo)
        return alpha * picture, alpha


def drawn_coefficients(model, block: str, chance: Chance) -> Tensor:
    """(K,) of a block's prior; (0,) where the model hasn't that block."""
    if not model.count(block):
        return torch.zeros(0)
    prior = model.blocks[block]
    return prior.clamp(prior.mean + prior.std * chance.normal(len(prior), WITHIN).float())


def random_person(model, chance: Chance) -> Person:
    """Somebody with the model's own skin."""
    return Person(drawn_coefficients(model, "identity", chance), drawn_coefficients(model, "reflectance", chance))


def make_person(model, atlas: SkinAtlas, *seed: int) -> Person:
    """The person of a seed (any whole numbers from 0): the same on every call, whatever was drawn before.

    With a painted skin, which needs a model that a `SkinAtlas` can be made of.
    """
    who = random_person(model, NumpyChance(np.random.default_rng([*seed, 0])))
    base = atlas_values(model, model.albedo(who.reflectance), atlas.size).numpy()
    painted = paint(base, atlas, np.random.default_rng([*seed, 1]))
    albedo = extend(torch.from_numpy(painted), torch.from_numpy(atlas.known))
    return Person(who.identity, who.reflectance, albedo.clamp(0.005, 0.98).contiguous())
