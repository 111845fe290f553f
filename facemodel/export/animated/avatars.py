"""What data sets for avatars that keep FLAME's coefficients have in common: the clip's, and how they are checked."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facemodel.export.animated.base import Checked, Performance, Window
from facemodel.flame_parameters import Flame, lid_indices, require_flame, require_own, to_flame, to_parameters
from facemodel.parameters import FaceParameters
from geometry.camera import project, to_camera

STILL = 1e-4  # an activation, or radians, that is none


def flame_of(clip: Performance, purpose: str) -> Flame:
    """The clip's. PortraitError for a model that isn't FLAME. ``purpose``: what needs it, as the sentence's subject."""
    require_flame(clip.model, purpose)
    require_own(clip.parameters, clip.model)
    return to_flame(clip.parameters, clip.model)


def compare(
    clip: Performance, frames: Sequence[int], flame: Flame, focal: float, window: Window, *, lids: bool,
    mine: FaceParameters | None = None,
) -> Checked:  # fmt: skip
    """Coefficients that were read, a row for each of these frames, in front of the window's camera, against the clip's.

    lids: whether the format has eyelids; else the clip's are taken open. mine: the clip's, where a format takes others.
    """
    mine = (mine or clip.parameters)[list(frames)]
    if not lids:
        shut = [k for k in lid_indices(clip.model) if k is not None]
        mine = mine.replace(expression=mine.expression.index_fill(1, torch.tensor(shut, dtype=torch.long), 0.0))
    read = to_parameters(flame, clip.model, focal)
    camera, mm, px = window.of(clip.camera), 0.0, 0.0
    theirs = type(camera)(focal, camera.width, camera.height)  # its principal point in the middle
    for k in range(len(frames)):
        points = []
        for p, seen_by in ((mine[k], camera), (read[k], theirs)):
            with torch.inference_mode():
                vertices = clip.model.vertices(p.identity, p.expression, p.gaze, p.joints).double()
            placed = to_camera(vertices, p.rotation.double(), p.translation.double())
            points.append((placed, project(placed, seen_by)))
        mm = max(mm, float((points[0][0] - points[1][0]).norm(dim=-1).max()))
        px = max(px, float((points[0][1] - points[1][1]).abs().max()))
    return Checked("this project's own import", mm, px, frames=len(frames))
