"""Training data of UV completion: textures that are known, and masks of what a turned head shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fitting.texture import sight
from foundation.errors import PortraitError
from foundation.progress import Report, counted, ignore
from foundation.tensors import read_tensors, write_tensors
from neural_render.uv_gan.filling import blend_weight
from renderer import Camera, Sight, atlas_light, linear_to_srgb, main_island, surface_points, to_uint8, unwrap_view
from synthetic import RandomShots, Shot, SkinAtlas, frame_shot, make_person

MASK_SIZE = 192  # px of the view that says what is seen
KIND, VERSION = "textures", 1
Box = tuple[float, float, float, float]
"""Left, right, top and bottom, of the side of a texture."""


@dataclass(frozen=True)
class TextureSet:
    """N textures of P people and M masks, over one UV atlas. Any mask goes with any texture."""

    textures: Tensor  # (N, S, S, 3) uint8 sRGB, under the light that they were taken in
    known: Tensor  # (N, S, S) bool: where the texture is true; a training is told of no more
    people: Tensor  # (N,) int64: textures of one number are of one person
    masks: Tensor  # (M, S, S) uint8, 255 where a turned head's skin is seen
    yaws: Tensor  # (M,) float degrees
    island: Tensor  # (S, S) bool: the skin; nothing is completed elsewhere
    middle: Box = (0.0, 1.0, 0.0, 1.0)  # of the face, see `face_middle`

    def __len__(self) -> int:
        return len(self.textures)

    @property
    def size(self) -> int:
        return self.textures.shape[1]

    @cached_property
    def name(self) -> str:
        """A digest of everything."""
        digest = hashlib.sha256()
        for tensor in self.tensors().values():
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def tensors(self) -> dict[str, Tensor]:
        """All as ``save`` writes it."""
        names = ("textures", "known", "people", "masks", "yaws", "island")
        whole = {name: getattr(self, name) for name in names}
        return {n: t.to(torch.uint8) if t.dtype == torch.bool else t for n, t in whole.items()}

    def save(self, path: Path, facts: dict) -> None:
        """Writes everything into one file, with ``facts`` that say what it was made of."""
        write_tensors(path, KIND, VERSION, self.tensors(), {"facts": facts, "middle": self.middle})

    @classmethod
    def load(cls, path: Path, facts: dict) -> TextureSet | None:
        """What ``save`` wrote with the same facts; None where there is no such file, or of no use."""
        try:
            tensors, header = read_tensors(path, KIND, VERSION, "portrait uv-train")
            if header.get("facts") != facts:
                return None
            flags = {name: tensors.pop(name).bool() for name in ("known", "island")}
            left, right, top, bottom = map(float, header["middle"])
            made = cls(**tensors, **flags, middle=(left, right, top, bottom))
            return made if made._fits() else None
        except (PortraitError, KeyError, TypeError, ValueError, IndexError):
            return None

    def _fits(self) -> bool:
        """Whether the tensors' shapes and types go together."""
        count, square, whole = len(self.people), (self.size, self.size), torch.uint8
        shapes = {
            "textures": ((count, *square, 3), whole), "known": ((count, *square), torch.bool), "yaws": None,
            "people": ((count,), torch.int64), "masks": ((len(self.yaws), *square), whole),
            "island": (square, torch.bool),
        }  # fmt: skip
        found = {name: getattr(self, name) for name in shapes}
        return all(v is None or (tuple(found[n].shape), found[n].dtype) == v for n, v in shapes.items())

    @staticmethod
    def join(parts: list[TextureSet]) -> TextureSet:
        """Several sets of one UV atlas as one; their people are different ones."""
        first, people, offset = parts[0], [], 0
        for part in parts:
            people.append(part.people + offset)
            offset += int(part.people.max()) + 1
        cat = lambda name: torch.cat([getattr(p, name) for p in parts])  # noqa: E731
        return TextureSet(
            cat("textures"), cat("known"), torch.cat(people), cat("masks"), cat("yaws"), first.island, first.middle
        )  # fmt: skip


def face_middle(model) -> Box:
    """Where the atlas shows eyes, nose and mouth, by their landmarks, with some skin around; on a grid of 32.

    Without such landmarks, everything.
    """
    if "ibug68" not in model.embeddings:
        return TextureSet.middle
    marks, atlas = model.embedding("ibug68"), model.atlas
    corners = atlas.coordinates[atlas.triangles[marks.triangles[27:]]]
    u, v = (corners * marks.barycentric[27:, :, None]).sum(1).unbind(-1)
    (left, right), (top, bottom) = ((float(x.min()), float(x.max())) for x in (u, 1 - v))
    wide, high = right - left, bottom - top
    box = (left - 0.19 * wide, right + 0.19 * wide, top - 0.35 * high, bottom + 0.19 * high)
    return tuple(min(max(round(32 * edge), 0), 32) / 32 for edge in box)


def seen_from(model, parameters, camera: Camera, size: int, island: Tensor) -> Tensor:
    """(S, S) 0 to 1: which texels a camera sees well enough to be kept, by the head's own geometry alone."""
    points = surface_points(model, parameters)
    blank = torch.zeros(camera.height, camera.width, 1)
    view = unwrap_view(blank, points, model, camera, (size, size), Sight(grazing=80.0))
    return blend_weight(sight(model, view), island)


def synthetic_set(
    model,
    people: int,
    size: int,
    *,
    seed: int = 0,
    scenes: RandomShots | None = None,
    report: Report = ignore,
) -> TextureSet:
    """People who don't exist, each under a light of their own, each with the mask of a turn of their own head.

    Two textures a person, of two lights and expressions.
    """
    if people < 1:
        raise PortraitError(f"synthetic: expected at least one person, got {people}")
    model.require("symmetric atlas", "a training of texture completion")
    atlas, island = SkinAtlas.of(model, size), main_island(model, size)
    scenes = scenes or RandomShots(pitch=25.0)
    count = 2 * people
    textures = torch.empty(count, size, size, 3, dtype=torch.uint8)
    masks, yaws = torch.empty(count, size, size, dtype=torch.uint8), torch.empty(count)
    for k in counted(range(people), report, "synthetic textures", people, "people"):
        for row, (texture, weight, yaw) in zip(
            (2 * k, 2 * k + 1), person_samples(model, atlas, scenes, seed, k, island)
        ):
            textures[row], masks[row], yaws[row] = texture, weight, yaw
    numbers = torch.arange(count) // 2
    return TextureSet(textures, island.expand(count, -1, -1).clone(), numbers, masks, yaws, island, face_middle(model))


def person_samples(
    model, atlas: SkinAtlas, scenes: RandomShots, seed: int, number: int, island: Tensor
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Two textures (S, S, 3) uint8, masks (S, S) uint8 and yaws of the synthetic person ``number``."""
    person = make_person(model, atlas, seed, number)
    draw = np.random.default_rng([seed, number, 8])
    for shot in (scenes.shot(draw, 2 * number), scenes.shot(draw, 2 * number + 1)):
        yield *lit_texture(model, person, shot, island), shot.yaw


def lit_texture(model, person, shot: Shot, island: Tensor) -> tuple[Tensor, Tensor]:
    """A person's complete texture under a shot's light (S, S, 3) uint8 sRGB, and the shot's mask (S, S) uint8."""
    size = len(island)
    parameters, camera = frame_shot(model, person, shot, MASK_SIZE)
    lit = person.albedo * atlas_light(model, parameters, size).clamp_min(0.02)
    texture = to_uint8(linear_to_srgb(lit.clamp(0, 1)))
    seen = seen_from(model, parameters, camera, size, island)
    return texture, to_uint8(seen)
