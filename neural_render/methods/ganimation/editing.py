"""A photograph's face under other units, and back into the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facemodel.action_units import STRONGEST
from foundation.errors import unknown_name
from geometry.color import to_uint8
from neural_render.methods.clip import ActionUnits, Clip
from neural_render.methods.common.people import sources
from neural_render.methods.ganimation.alignment import cut, places, put_back, rim
from neural_render.methods.ganimation.networks import Edit, EditGenerator, UnitCritic
from neural_render.methods.weights import Weights, WeightsHeader, load_network


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
        reader = load_network(UnitCritic(len(h.units), h.size, h.critic), weights, "reader", device)
        seen = sources(target, h.size, 1, self.device)
        self.crop, self.picture = seen.crop, seen.pictures
        self.place = places(weights.tensors["face"].cpu(), torch.from_numpy(seen.landmarks).float()).to(self.device)
        self.patch = cut(self.picture, self.place)
        self.photograph = next(rgb for index, _, rgb in target.frames if index == seen.frames[0])
        with torch.inference_mode():
            self.own = reader(self.patch)[0].clamp(0, 1)  # (K,): the units that it shows

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
        """Of the face's patch, under units (K,)."""
        with torch.inference_mode():
            return self.generator(self.patch, units[None])

    def shown(self, edit: Edit) -> dict[str, Tensor]:
        """What an edit is made of, as pictures of the crop (3, S, S) in [-1, 1], by name."""
        kept, added = pasted(edit, self.patch, self.place, self.picture.shape[-1])
        return {"attention": 2 * kept[0].expand(3, -1, -1) - 1, "colours": (self.picture + added)[0].clamp(-1, 1)}

    def paste(self, edit: Edit) -> np.ndarray:
        """(H, W, 3) uint8: the photograph with an edit of its face.

        The mask and what is added are enlarged, not the picture, so it has the photograph's own detail throughout.
        """
        c, (height, width) = self.crop, self.photograph.shape[:2]
        kept, added = (t[0] for t in pasted(edit, self.patch, self.place, c.side))
        rows = slice(max(c.y0, 0), min(c.y0 + c.side, height))
        columns = slice(max(c.x0, 0), min(c.x0 + c.side, width))
        inside = [..., slice(rows.start - c.y0, rows.stop - c.y0), slice(columns.start - c.x0, columns.stop - c.x0)]
        kept, added = kept[tuple(inside)], added[tuple(inside)]
        out = self.photograph.copy()
        own = torch.from_numpy(out[rows, columns]).to(self.device).movedim(-1, 0).float() / 255
        out[rows, columns] = to_uint8(own + (1 - kept) * added / 2).movedim(0, -1).cpu().numpy()
        return out


def pasted(edit: Edit, patch: Tensor, place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What is kept of crops (N, 1, size, size), and what is added to the rest (N, 3, size, size), of a range of 2.

    Of edits of patches (N, 3, S, S) that lie at ``place`` (N, 2, 3) in the crops; all is kept beyond them.
    """
    let_go = (1 - edit.kept) * rim(patch.shape[-1], patch.device)
    let_go, added = (put_back(t, place, size) for t in (let_go, edit.colours - patch))
    return 1 - let_go.clamp(0, 1), added
