"""Which parts of a face are hidden: behind a mask, a hand, dark glasses, or beyond the picture's edge.

A detector guesses the landmarks there. So an observation enters and leaves without them, with how far each part is
seen; the solver then leaves what only they would tell to the priors. The parts are the model's own regions, where it
has such. What is skin is the network's guess (`fitting.occlusion.network`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from fitting.energy.landmark_points import LandmarkPoints
from fitting.observation.crop import Observation
from fitting.observation.eye_patches import EyePatches
from fitting.occlusion.network import PARTS, SIZE, visible_parts
from fitting.policy.hidden_parts import HiddenParts, PartLimits

FINER = 4  # outlines are drawn on so many times the network's pixels
LIKELY = 0.5  # that a landmark shows something else: it's hidden with the part that it's near to
OTHER = PARTS.index("other")
EYES = ("left_eye", "right_eye")

Visibility = dict[str, float]
"""By part, 0 hidden to 1 seen; below `HiddenParts.limit` its landmarks take no part."""


@dataclass(frozen=True)
class Region:
    """A part of the face."""

    name: str
    limits: PartLimits
    own: np.ndarray  # (K,) its landmarks
    around: np.ndarray  # (M,) those that may be hidden with it, its own among them


def face_regions(model: FaceModel, marks: LandmarkPoints, policy: HiddenParts) -> tuple[Region, ...]:
    """Mouth, nose and both eyes, of which the model has a region that at least three landmarks lie on."""
    mean, side = marks.mean.cpu(), marks.eye.cpu()
    lids, left = model.region("eyelids"), mean[:, 0] > 0
    on = lambda mask: mask[marks.corners].all(1).cpu()  # noqa: E731
    wanted = {
        "mouth": (on(model.region("lips")), side < -1, policy.mouth),
        "nose": (on(model.region("nose")), side < -1, policy.nose),
        EYES[0]: (on(lids) & left, side == 0, policy.eyes),
        EYES[1]: (on(lids) & ~left, side == 1, policy.eyes),
    }
    found = []
    for name, (own, ball, limits) in wanted.items():
        if own.sum() < 3:
            continue
        near = (mean - mean[own].mean(0)).norm(dim=1) < limits.reach
        indices = [x.nonzero().flatten().numpy() for x in (own, near | own | ball)]
        found.append(Region(name, limits, *indices))
    return tuple(found)


def can_tell(seen: Observation, policy: HiddenParts) -> bool:
    """Whether an observation of one frame is large and bright enough for the network."""
    if SIZE not in seen.levels or float(seen.side) < policy.least_side:
        return False
    level = seen.levels[SIZE]
    points = (seen.landmarks - seen.corner[:, None]) * (SIZE / seen.side)[:, None, None]
    known = points.isfinite().all(-1)
    return bool(known.any()) and float(level.sample(points.nan_to_num())[0][known].mean()) > policy.dimmest


def without_hidden(
    seen: Observation, regions: tuple[Region, ...], policy: HiddenParts, before: Visibility | None = None
) -> tuple[Observation, Visibility]:
    """An observation of one frame without the landmarks of hidden parts, and how far each part is seen.

    ``before``: of the frame before, where there is one: what was hidden stays so until it's clearly seen again.
    """
    if not regions or not can_tell(seen, policy):
        return seen, dict.fromkeys((r.name for r in regions), 1.0)
    other = visible_parts(seen.levels[SIZE].stack[:, :3].permute(0, 2, 3, 1))[0, ..., OTHER].cpu().numpy()
    other = np.where(_beyond(seen), 1.0, other)
    points = ((seen.landmarks - seen.corner[:, None]) * (SIZE / seen.side)[:, None, None])[0].cpu().numpy()
    visibility = {}
    for name, value in _raw(other, points, regions, policy).items():
        was_hidden = before is not None and before.get(name, 1.0) < policy.limit
        is_hidden = value < (policy.again if was_hidden else policy.limit)
        visibility[name] = min(value, policy.limit - 0.01) if is_hidden else max(value, policy.limit)
    return _without(seen, other, points, [r for r in regions if visibility[r.name] < policy.limit]), visibility


def _raw(other: np.ndarray, points: np.ndarray, regions: tuple[Region, ...], policy: HiddenParts) -> Visibility:
    """How far each part is seen, going by this frame alone."""
    seen = lambda share, limits: float(np.clip((limits.hidden - share) / (limits.hidden - limits.seen), 0, 1))  # noqa: E731
    share = lambda r, limits: _share(other, points[r.own], limits.enlarged)  # noqa: E731
    out = {r.name: seen(share(r, r.limits), r.limits) for r in regions}
    eyes = [r for r in regions if r.name in EYES]
    both = max((out[r.name] for r in eyes), default=1.0) if len(eyes) == 2 else 1.0
    for r in eyes:
        out[r.name] = min(both, seen(share(r, policy.eye), policy.eye))
    return out


def _share(other: np.ndarray, points: np.ndarray, enlarged: float) -> float:
    """Mean of (S, S) over the convex outline of points (K, 2), enlarged; 0 where none is known."""
    import cv2

    points = points[np.isfinite(points).all(1)]
    if len(points) < 3:
        return 0.0
    middle = (points.min(0) + points.max(0)) / 2
    outline = cv2.convexHull((FINER * (middle + enlarged * (points - middle))).astype(np.int32))
    inside = np.zeros((FINER * SIZE, FINER * SIZE), np.float32)
    cv2.fillConvexPoly(inside, outline, 1.0)
    inside = cv2.resize(inside, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return float((other * inside).sum() / max(float(inside.sum()), 1e-6))


def _beyond(seen: Observation) -> np.ndarray:
    """(S, S) bool: pixels beyond the picture's edge."""
    corner, width, height = seen.corner[0].tolist(), *(2 * seen.frame_centre).tolist()
    at = (np.arange(SIZE) + 0.5) * (float(seen.side) / SIZE)
    x, y = at + corner[0], at + corner[1]
    return ((y < 0) | (y > height))[:, None] | ((x < 0) | (x > width))[None]


def _without(seen: Observation, other: np.ndarray, points: np.ndarray, hidden: list[Region]) -> Observation:
    """Without the landmarks of hidden parts, nor those near to them that are likely to be hidden as well."""
    if not hidden:
        return seen
    x, y = np.clip(np.nan_to_num(points), 0, SIZE - 1).astype(int).T
    likely = other[y, x] > LIKELY
    gone = np.zeros(len(points), bool)
    for region in hidden:
        gone[region.around] |= likely[region.around]
        gone[region.own] = True
    lids = None if seen.eyes is None else (_lids_seen(seen.eyes[0], {r.name for r in hidden}),)
    left = seen.landmarks.masked_fill(torch.from_numpy(gone).to(seen.landmarks.device)[None, :, None], torch.nan)
    return replace(seen, landmarks=left, eyes=lids, hidden=torch.ones_like(seen.side, dtype=torch.bool))


def _lids_seen(eyes: EyePatches, hidden: set[str]) -> EyePatches:
    return replace(eyes, seen=tuple(name not in hidden for name in EYES))


def jumped(points: Tensor, before: Tensor, regions: tuple[Region, ...], policy: HiddenParts) -> bool:
    """Whether the landmarks (L, 2) px of a part moved within the face since the frame before (L, 2)."""
    size = (points.amax(0) - points.amin(0)).amax()
    moved = (points - before.to(points)) / size
    moved = moved - moved.nanmean(0)
    return any(float(moved[r.own].norm(dim=1).nanmean()) > policy.jump for r in regions)


def any_hidden(seen: Observation) -> bool:
    return seen.hidden is not None and bool(seen.hidden.any())


def hidden_apart(seen: Observation, regions: tuple[Region, ...], policy: HiddenParts) -> Observation:
    """`without_hidden` of each of several frames that don't follow each other."""
    frames = [without_hidden(seen.frame(k), regions, policy)[0] for k in range(len(seen))]
    if not any(any_hidden(f) for f in frames):
        return seen
    gone = [f.hidden if f.hidden is not None else torch.zeros_like(f.side, dtype=torch.bool) for f in frames]
    return replace(seen, landmarks=torch.cat([f.landmarks for f in frames]), hidden=torch.cat(gone))
