"""The texture of a person: frames of a clip in one atlas, without light, whole."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from fitting.texture import TextureMerger, frame_texture
from foundation.progress import Report, counted, ignore
from neural_render.methods.clip import Clip
from neural_render.uv_gan.filling import DARKEST, blend_weight, mirror_fill, smooth_fill
from renderer import atlas_values, extend, main_island
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


def person_texture(
    model: FaceModel, clip: Clip, size: int, count: int, report: Report = ignore
) -> tuple[Tensor, np.ndarray]:
    """(size, size, 3) linear RGB without light, extended beyond the atlas, and the frames that it is of.

    What no frame shows comes from the mirrored side where the atlas is symmetric, and else smoothly from what is
    around it, as a difference from the fitted reflectance.
    """
    parameters = clip.track.parameters.expanded()
    tracked = torch.nonzero(clip.track.tracked).flatten().numpy()
    chosen = spread_poses(parameters.rotation, tracked, count)
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
    delit, confidence = merger.result()
    albedo = seen[0].albedo.cpu()
    island = main_island(model, size).cpu()
    lids = atlas_values(model, model.region("eyelids").float()[:, None], size)[..., 0].cpu()
    weight = blend_weight(confidence, island) * (1 - lids)  # what covers an eye isn't what is seen of one that is open
    if "symmetric atlas" in model.capabilities:
        whole = mirror_fill(delit, weight, albedo)
    else:
        log = lambda t: t.clamp_min(DARKEST).log()  # noqa: E731
        whole = (smooth_fill(log(delit) - log(albedo), weight) + log(albedo)).exp()
    inside = island[..., None] & (atlas_values(model, torch.ones(len(model.mean), 1), size).cpu() > 0)
    whole = torch.where(inside, whole, albedo).clamp(0, 1)
    return extend(whole, uv_fragments(model, (size, size)).mask[0].cpu()), chosen
