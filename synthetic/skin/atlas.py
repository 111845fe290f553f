"""What painting needs to know of a model's UV atlas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer import atlas_values, main_island
from renderer.unwrapping import uv_fragments


@dataclass(frozen=True)
class SkinAtlas:
    """Once for all people. All (S, S, ...) numpy arrays, row 0 at v = 1."""

    points: np.ndarray  # (S, S, 3) float32 mm, on the mean head
    skin: np.ndarray  # (S, S) float32, 0 to 1: how far a texel belongs to the face's skin
    scalp: np.ndarray
    lips: np.ndarray
    island: np.ndarray  # (S, S) bool, the main island
    known: np.ndarray  # (S, S) bool, the whole atlas
    landmarks: np.ndarray  # (68, 3) mm, iBUG's on the mean head

    @property
    def size(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, model, size: int) -> SkinAtlas:
        """``size``: texels a side.

        Raises PortraitError for a model without a symmetric UV atlas, regions or iBUG's landmarks.
        """
        model.require("symmetric atlas", "painting a skin")
        model.require("regions", "painting a skin")
        region = lambda name: atlas_values(model, model.region(name).float()[:, None], size)[..., 0].cpu().numpy()  # noqa: E731
        return cls(
            points=atlas_values(model, model.mean, size).cpu().numpy(),
            skin=region("skin"),
            scalp=region("scalp"),
            lips=region("lips"),
            island=main_island(model, size).cpu().numpy(),
            known=uv_fragments(model, (size, size)).mask[0].cpu().numpy(),
            landmarks=model.landmarks(model.mean, "ibug68").cpu().numpy(),
        )
