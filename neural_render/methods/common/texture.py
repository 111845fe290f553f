"""The texture of a person: frames of a clip in one atlas, without light, whole."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from fitting.texture import TextureMerger, frame_texture
from foundation.errors import PortraitError
from foundation.progress import Report, counted, ignore
from foundation.tensors import read_tensors, write_tensors
from geometry.color import linear_to_srgb, srgb_to_linear, to_uint8
from neural_render.methods.clip import Clip
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from renderer import atlas_values, extend, main_island
from renderer.mirroring import mirroring
from renderer.unwrapping import uv_fragments


def spread_poses(rotation: Tensor, frames: np.ndarray, count: int) -> np.ndarray:
    """Sorted, at most ``count`` of the ``frames``, each as differently turned from all others as can be.

    rotation: (F, 3) radians of all frames. Greedy: the farthest from those chosen, beginning with the most frontal.
    """
    turns = rotation[torch.from_numpy(frames)].double()
    chosen = [int(turns.norm(dim=-1).argmin())]
    nearest = (turns - turns[chosen[0]]).norm(dim=-1)
    while len(chosen) < min(count, len(frames)):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (turns - turns[chosen[-1]]).norm(dim=-1))
        nearest[chosen] = -1
    return np.sort(frames[chosen])


def unhidden(track: Track) -> np.ndarray:
    """Numbers of the tracked frames in which nothing is before a part of the face; of all tracked, if that's none."""
    hidden = [track.hidden(part) for part in track.visibility]
    free = track.tracked & ~torch.stack(hidden).any(0) if hidden else track.tracked
    return torch.nonzero(free if free.any() else track.tracked).flatten().numpy()


def person_texture(
    model: FaceModel, clip: Clip, size: int, count: int, report: Report = ignore
) -> tuple[Tensor, np.ndarray]:
    """(size, size, 3) linear RGB without light, extended beyond the atlas, and the frames that it is of.

    What no frame shows comes from the mirrored side where the atlas is symmetric, and else smoothly from what is
    around it, as a difference from the fitted reflectance.
    """
    parameters = clip.track.parameters.expanded()
    chosen = spread_poses(parameters.rotation, unhidden(clip.track), count)
    merger, wanted, seen = TextureMerger(size), set(chosen.tolist()), []
    last = int(chosen[-1])
    for index, _time, rgb in counted(clip.frames, report, "texture", last + 1):
        if index in wanted:
            picture = torch.from_numpy(np.ascontiguousarray(rgb))
            seen.append(frame_texture(model, parameters[index].to(model.mean.device), picture, size))
            merger.add(seen[-1])
        if index >= last:
            break
    for frame in seen:
        merger.refine(frame)
    delit, _ = merger.result()
    best = torch.stack([frame.confidence.cpu() for frame in seen]).amax(
        0
    )  # many views from the side don't make a good one
    albedo = seen[0].albedo.cpu()
    island = main_island(model, size).cpu()
    lids = atlas_values(model, model.region("eyelids").float()[:, None], size)[..., 0].cpu()
    weight = blend_weight(best, island) * (1 - lids)  # what covers an eye isn't what is seen of one that is open
    mirrored = mirroring(model, size)
    whole = mirror_fill(delit, weight, albedo, lambda t: mirrored(t.to(model.mean)).cpu())
    inside = island[..., None] & (atlas_values(model, torch.ones(len(model.mean), 1), size).cpu() > 0)
    whole = torch.where(inside, whole, albedo).clamp(0, 1)
    return extend(whole, uv_fragments(model, (size, size)).mask[0].cpu()), chosen


def linear(texture: Tensor, model: FaceModel) -> Tensor:
    """(S, S, 3) linear RGB on the model's device, of a texture (S, S, 3) uint8 sRGB."""
    return srgb_to_linear(texture.to(model.mean) / 255)


def kept_texture(path: Path, clip: Clip, size: int, count: int, report: Report = ignore) -> Tensor:
    """`person_texture` as (size, size, 3) uint8 sRGB; read from a file where it is of this clip, else written to it."""
    name = texture_name(clip.track, size, count)
    try:
        tensors, header = read_tensors(path, "texture", 1, "portrait train")
        if header.get("name") == name:
            return tensors["texture"]
    except PortraitError:  # it isn't there yet
        pass
    texture, _ = person_texture(clip.model, clip, size, count, report)
    made = to_uint8(linear_to_srgb(texture)).cpu()
    write_tensors(path, "texture", 1, {"texture": made}, {"name": name})
    return made


def texture_name(track: Track, size: int, count: int) -> str:
    """A name for what it is made from."""
    h = hashlib.sha256(
        f"{track.fingerprint} {size} {count} {sorted((track.facts.get('source') or {}).items())}".encode()
    )
    for f in fields(FaceParameters):
        h.update(getattr(track.parameters, f.name).detach().cpu().contiguous().numpy().tobytes())
    h.update(track.status.cpu().numpy().tobytes())
    return h.hexdigest()[:32]
