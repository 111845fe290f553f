"""Where a synthetic person is: the light, what is behind them, what they wear."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from facemodel import FaceParameters
from foundation.errors import PortraitError
from geometry.spherical_harmonics import COSINE_LOBE
from renderer import Camera, project, sh_basis, to_camera
from synthetic.chance import Chance, NumpyChance, uniform

LEVELS = (0.45, 0.95)  # mean radiance of a white surface that faces the camera, in stills
PHOTOGRAPHS = ("coffee.png", "rocket.jpg", "chelsea.png", "motorcycle_left.png", "gravel.png", "brick.png", "grass.png")


def lamps(chance: Chance, front: Tensor, ambient: tuple[float, float], level: tuple[float, float]) -> Tensor:
    """Light (9, 3): surroundings and one to three lamps before and above the face, none of them quite white.

    ``ambient`` bounds the surroundings' strength; a white surface has, on the average over the directions ``front``
    (N, 3), a radiance within ``level``.
    """

    def tint() -> Tensor:
        return (1 + 0.08 * chance.normal(3, 2.0)).float()

    lobe = torch.tensor([COSINE_LOBE[band] for band in (0, 1, 1, 1, 2, 2, 2, 2, 2)])
    light = torch.zeros(9, 3)
    light[0] = chance.uniform(*ambient) * tint() / sh_basis(front[:1])[0, 0]
    for _ in range(chance.whole(1, 4)):
        way = torch.tensor([chance.uniform(-1, 1), chance.uniform(-0.3, 1), chance.uniform(0.2, 1)])
        basis = sh_basis(torch.nn.functional.normalize(way, dim=0))
        light += math.pi * chance.uniform(0.2, 0.8) * (lobe * basis)[:, None] * tint()
    return light * (chance.uniform(*level) / (sh_basis(front) @ light).mean())


def facing(directions: Tensor) -> Tensor:
    """Any vectors (N, 3) as unit ones that face the camera."""
    front = torch.nn.functional.normalize(directions, dim=-1)
    front[:, 2] = front[:, 2].abs()
    return front


def light_of(seed: int) -> Tensor:
    """(9, 3): the light of a still's seed; 0 is even white light from everywhere."""
    if seed == 0:
        light = torch.zeros(9, 3)
        light[0] = sum(LEVELS) / 2 / sh_basis(torch.tensor([0.0, 0.0, 1.0]))[0]
        return light
    front = facing(torch.from_numpy(np.random.default_rng(0).standard_normal((400, 3))).float())
    return lamps(NumpyChance(np.random.default_rng([seed, 2])), front, (0.25, 0.7), LEVELS)


def random_light(model, g: Generator) -> Tensor:
    """(9, 3): light under which the model's mean skin isn't burnt out."""
    light = lamps(Chance(g), facing(torch.randn(500, 3, generator=g)), (0.2, 0.7), (0.5, 1.0))
    sphere = facing(torch.randn(2000, 3, generator=Generator().manual_seed(0)))
    skin = model.region("skin")
    mean = model.albedo()[skin if skin.any() else slice(None)].mean(0)
    return light * min(1.0, 0.9 / float((mean * (sh_basis(sphere) @ light)).max()))


def colours(draw: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) in [0, 1]: a background of a few soft colours."""
    coarse = draw.uniform(0, 0.75, (4, 4, 1)) + draw.uniform(0, 0.25, (4, 4, 3))
    return cv2.resize(coarse.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def room(draw: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) in [0, 1]: a wall with a few things of flat colours before it, out of focus."""
    wall, fall = muted(draw.uniform(0.1, 0.9, 3)), draw.uniform(-0.25, 0.25, 2)
    v, u = np.mgrid[0:size, 0:size] / size - 0.5
    picture = np.clip(wall + (fall[0] * u + fall[1] * v)[..., None], 0, 1).astype(np.float32)
    for _ in range(draw.integers(2, 8)):
        corner, far = draw.uniform(-0.2, 1.0, 2) * size, draw.uniform(0.06, 0.6, 2) * size
        colour = (0.4 * wall + 0.6 * muted(draw.uniform(0, 1, 3))).tolist()
        cv2.rectangle(picture, *((corner + k * far).astype(int).tolist() for k in (0, 1)), colour, -1)
    return cv2.GaussianBlur(picture, (0, 0), draw.uniform(0.004, 0.03) * size)


def muted(colour: np.ndarray) -> np.ndarray:
    """(3,) nearer to its grey: walls and clothes are seldom of pure colours."""
    return colour.mean() + 0.5 * (colour - colour.mean())


def photograph(g: Generator, size: int) -> np.ndarray:
    """(size, size, 3) in [0, 1]: part of one of scikit-image's photographs, a little out of focus.

    Raises PortraitError where scikit-image isn't installed.
    """
    found = find_spec("skimage")
    if found is None:
        raise PortraitError(
            "background: expected scikit-image's photographs, it isn't installed; pip install scikit-image"
        )
    name = PHOTOGRAPHS[int(torch.randint(len(PHOTOGRAPHS), (), generator=g))]
    with Image.open(Path(found.origin).parent / "data" / name) as file:
        whole = np.asarray(file.convert("RGB"))
    side = int(min(whole.shape[:2]) * uniform(g, 0.5, 1.0))
    y, x = (int(uniform(g, 0, n - side)) for n in whole.shape[:2])
    part = cv2.resize(whole[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(part.astype(np.float32) / 255, (0, 0), uniform(g, 0.5, 4.0))


def garment(model, truth: FaceParameters, camera: Camera, colour: np.ndarray) -> np.ndarray:
    """(F, H, W, 4) colour and alpha of a plain garment below the neck, so that no head floats.

    The neck is the model's, or where it has no such region the lowest of the head.
    """
    neck = model.mean[model.region("neck")] if model.region("neck").any() else model.mean
    below = neck[neck[:, 1] < neck[:, 1].quantile(0.2)].mean(0)
    u, v = project(to_camera(below[None], truth.rotation, truth.translation), camera)[:, 0].T.numpy()
    scale = (camera.focal / truth.translation[:, 2]).numpy()
    out = np.zeros((len(u), camera.height, camera.width, 4), np.float32)
    for k in range(len(u)):
        middle, axes = (int(u[k]), int(v[k] + 170 * scale[k])), (int(230 * scale[k]), int(190 * scale[k]))
        cv2.ellipse(out[k], middle, axes, 0, 0, 360, (*colour.tolist(), 1.0), -1, cv2.LINE_AA)
    return out
