"""A photograph's face under other units, and back into the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facemodel.action_units import STRONGEST
from foundation.errors import unknown_name
from geometry.color import to_uint8
from neural_render.images import Crop
from neural_render.methods.clip import ActionUnits, Clip
from neural_render.methods.common.people import sources
from neural_render.methods.ganimation.alignment import cut, places
from neural_render.methods.ganimation.networks import Edit, EditGenerator, UnitCritic
from neural_render.methods.weights import Weights, WeightsHeader, load_network

RIM = 0.06  # of the crop's side, within which all of the photograph is kept more and more


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int
    width: int
    critic: int
    units: tuple[str, ...]


class Editor:
    """One target, whose face is edited; of a clip its first frame with a face."""

    def __init__(self, weights: Weights, target: Clip, device: str = "cpu") -> None:
        h = weights.header
        self.names, self.device = h.units, torch.device(device)
        self.generator = load_network(EditGenerator(len(h.units), h.width), weights, "generator", device)
        critic = load_network(UnitCritic(len(h.units), h.size, h.critic), weights, "critic", device)
        seen = sources(target, h.size, 1, self.device)
        self.crop, self.picture = seen.crop, seen.pictures
        self.photograph = next(rgb for index, _, rgb in target.frames if index == seen.frames[0])
        with torch.inference_mode():
            self.own = read(critic, weights, self.picture, seen.landmarks)[0]  # (K,): the units that it shows

    def wanted(self, driver: ActionUnits) -> Tensor:
        """(F, K), 0 to 1: a driver's units, those that it doesn't name or know being the photograph's own.

        PortraitError for a unit that the weights weren't trained on.
        """
        for name in driver.names:
            if name not in self.names:
                raise unknown_name("action unit of these weights", name, self.names)
        wanted = self.own.repeat(len(driver.values), 1)
        columns = [self.names.index(name) for name in driver.names]
        values = torch.from_numpy(np.asarray(driver.values, np.float32) / STRONGEST).to(self.device)
        wanted[:, columns] = torch.where(values.isfinite(), values, wanted[:, columns])
        return wanted

    def edit(self, units: Tensor) -> Edit:
        """Of the face's crop, under units (K,)."""
        with torch.inference_mode():
            return self.generator(self.picture, units[None])

    def paste(self, edit: Edit) -> np.ndarray:
        """(H, W, 3) uint8: the photograph with an edit of its face.

        The mask and the colours are enlarged, not the picture, so what is kept has the photograph's own detail.
        """
        c, (height, width) = self.crop, self.photograph.shape[:2]
        kept, colours = (
            F.interpolate(t, size=(c.side, c.side), mode="bicubic", align_corners=False, antialias=True)[0]
            for t in (edit.kept, edit.colours)
        )
        kept = 1 - (1 - kept.clamp(0, 1)) * rim(c, self.device)
        rows = slice(max(c.y0, 0), min(c.y0 + c.side, height))
        columns = slice(max(c.x0, 0), min(c.x0 + c.side, width))
        inside = [..., slice(rows.start - c.y0, rows.stop - c.y0), slice(columns.start - c.x0, columns.stop - c.x0)]
        kept, colours = kept[tuple(inside)], colours[tuple(inside)]
        out = self.photograph.copy()
        own = torch.from_numpy(out[rows, columns]).to(self.device).movedim(-1, 0).float() / 255
        made = torch.lerp((colours + 1) / 2, own, kept)
        out[rows, columns] = to_uint8(made).movedim(0, -1).cpu().numpy()
        return out


def read(critic: UnitCritic, weights: Weights, pictures: Tensor, landmarks: np.ndarray) -> Tensor:
    """(N, K), 0 to 1: the units of pictures (N, 3, S, S), as the critic reads them; landmarks: (N, L, 2) in these."""
    found = places(weights.tensors["face"], torch.from_numpy(landmarks).float()).to(pictures.device)
    return critic(cut(pictures, found))[1].clamp(0, 1)


def rim(crop: Crop, device: torch.device) -> Tensor:
    """(side, side): 0 at the crop's edge, 1 from ``RIM`` of its side inwards."""
    at = (torch.arange(crop.side, device=device) + 0.5) / crop.side
    ramp = (torch.minimum(at, 1 - at) / RIM).clamp(0, 1)
    return ramp[:, None] * ramp
