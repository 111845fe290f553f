"""The landmark term: projected minus detected points, robustly, in units of the face's size; with their pairs.

Enter landmarks as `Affine` functions of the motion, a state and an observation, leave weighted rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facemodel.gaze import gaze_rotation_and_slopes
from fitting.energy.kernel_types import Pose
from fitting.energy.landmark_points import LandmarkPoints
from fitting.energy.pairs import across_eyes, both_axes, eye_openness, pair_rows, strengths
from fitting.energy.residuals import Residuals, compiled, flip, projection
from fitting.energy.surface import Affine
from fitting.observation.crop import Observation
from fitting.policy.weights import TermWeights
from fitting.solver.state import FitState, Layout


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of a person."""

    marks: LandmarkPoints
    points: Affine  # K = 3, with the eyes straight ahead


def landmark_rows(
    of: Landmarks, state: FitState, seen: Observation, weights: TermWeights, layout: Layout, shared: bool
) -> tuple[Tensor, Tensor]:
    """`landmarks` as weighted rows (F, R, C + 1), and the squared distances (F, L); compiled on the CPU."""
    if compiled(state.light):
        return _compiled(of, state, seen, weights, layout, shared)
    terms, squared = landmarks(of, state, seen, weights, layout, shared)
    return terms.weighted(), squared


def _compiled(of, state, seen, weights, layout, shared) -> tuple[Tensor, Tensor]:
    from fitting.energy import landmark_kernel as kernel

    s, frames, count = of.marks, len(state), len(of.marks.mean)
    first = layout.shared if shared else 0
    out = torch.zeros(frames, 2 * (count + len(s.pairs)), first + layout.frame + 1)
    squared = torch.empty(frames, count)
    sines, cosines = state.gaze.sin().numpy(), state.gaze.cos().numpy()
    observed, unit = (seen.landmarks - seen.frame_centre).numpy(), (1 / seen.face_size).numpy()
    focal, motion, across = state.log_focal.exp().numpy()[()], state.motion, across_eyes(seen, s).numpy()
    scales = kernel.Scales(*(np.float32(x) for x in (weights.landmark_scale, weights.landmarks, weights.pair_scale)))
    counted, corners = strengths(weights, s).numpy(), s.eye_corners.numpy()
    normal, weight, eye, centre = s.normal.numpy(), s.weights.numpy(), s.eye.numpy(), s.centres(state.identity).numpy()
    for f in range(frames):
        p = of.points.frame(f)
        kernel.landmark_rows(
            kernel.Marks(p.neutral.numpy(), motion[f].contiguous().numpy(), normal, weight, observed[f], unit[f]),
            kernel.Eyeballs(eye, centre, sines[f], cosines[f]),
            kernel.Pairs(s.pairs.numpy(), counted, s.eye_pairs, corners, across[f], state.brows.numpy()),
            kernel.Bases(p.motion.numpy(), p.identity.numpy(), s.centre_identity.numpy()),
            Pose(state.rotation[f].contiguous().numpy(), state.translation[f].numpy(), focal),
            scales,
            shared,
            out[f].numpy(),
            squared[f].numpy(),
        )
    return out, squared


@dataclass(frozen=True)
class _Eyeballs:
    """The K landmarks on eyeballs, turned by the gaze."""

    index: Tensor  # (K,) which landmarks
    side: Tensor  # (K,) of which eye
    points: Tensor  # (F, K, 3) mm
    turn: Tensor  # (F, K, 3, 3)
    by_gaze: tuple[Tensor, Tensor]  # (F, K, 3) derivative of the points by yaw, by pitch


def _eyeballs(s: LandmarkPoints, skin: Tensor, state: FitState) -> _Eyeballs:
    """``skin`` (F, L, 3) are the landmarks with the eyes straight ahead."""
    turn, *slopes = gaze_rotation_and_slopes(state.gaze).unbind(-3)  # each (F, 2, 3, 3)
    index = (s.eye >= 0).nonzero().flatten()
    side = s.eye[index]
    centre = s.centres(state.identity)[side]  # (K, 3)
    offset = (skin[:, index] - centre)[..., None]
    moved = tuple((d[:, side] @ offset)[..., 0] for d in slopes)
    return _Eyeballs(index, side, centre + (turn[:, side] @ offset)[..., 0], turn[:, side], moved)


def landmarks(
    of: Landmarks, state: FitState, seen: Observation, weights: TermWeights, layout: Layout, shared: bool
) -> tuple[Residuals, Tensor]:
    """Projected landmarks minus detected ones, in units of the face's size, and their pairs.

    Returns:
        Rows ordered (landmark, axis), then (pair, axis); and the squared distance a landmark (F, L). Of a brow's pair
        the first row is its height across the line between the eyes, the second nothing.
    """
    s, frames, count = of.marks, len(state), len(of.marks.mean)
    rotation, focal, axes = state.rotation, state.log_focal.exp(), flip(of.points.neutral)
    skin = of.points.at(state.motion)
    eyes = _eyeballs(s, skin, state)
    model_points = skin.clone()
    model_points[:, eyes.index] = eyes.points

    p = model_points @ rotation.transpose(1, 2)
    uv, d_uv = projection(p * axes + state.translation[:, None], focal)
    unit = 1 / seen.face_size[:, None, None]
    observed = seen.landmarks - seen.frame_centre
    known = observed.isfinite().all(-1)
    residual = torch.where(known[..., None], (uv - observed) * unit, torch.zeros_like(uv))
    squared = residual.square().sum(-1)

    normal = s.normal @ rotation.transpose(1, 2)
    facing = (normal[..., 2] / 0.4 + 0.5).clamp(0.1, 1)
    weight = s.weights * facing * known
    openness = eye_openness(seen.landmarks, s)  # (F, 2)
    weight[:, eyes.index] = weight[:, eyes.index] * (openness[:, eyes.side] / 0.15).clamp(0, 1)
    total = weight.sum(1, keepdim=True).clamp_min(1e-3)
    scaled = squared / weights.landmark_scale**2
    loss_weight = 1 / (1 + scaled / 4)
    row_weight = weight * loss_weight * (weights.landmarks / weights.landmark_scale**2 / 2) / total

    by_camera = d_uv * unit[..., None]  # (F, L, 2, 3)
    by_p = by_camera * axes
    by_model = by_p @ rotation[:, None]
    # Points on an eyeball: x = c + T (y - c), so a change of y goes through T.
    through = torch.eye(3, dtype=p.dtype, device=p.device).expand(frames, count, 3, 3).clone()
    through[:, eyes.index] = eyes.turn
    by_linear = by_model @ through
    by_rotation = torch.linalg.cross(p[:, :, None].expand_as(by_p), by_p)
    by_gaze = p.new_zeros(frames, count, 2, 2, 2)
    for axis, moved in enumerate(eyes.by_gaze):
        value = (by_model[:, eyes.index] @ moved[..., None])[..., 0]  # (F, K, 2)
        by_gaze[:, eyes.index, :, eyes.side, axis] = value.transpose(0, 1)
    columns = [
        by_rotation,
        by_camera,
        by_linear @ of.points.motion,
        by_gaze.flatten(-2),
        p.new_zeros(frames, count, 2, 27),
    ]
    if shared:
        by_identity = by_linear @ of.points.identity
        by_centre = (by_model[:, eyes.index] - by_linear[:, eyes.index]) @ s.centre_identity[eyes.side]
        by_identity[:, eyes.index] = by_identity[:, eyes.index] + by_centre
        columns = [by_identity, p.new_zeros(frames, count, 2, layout.reflectance), (uv * unit)[..., None], *columns]
    jacobian = torch.cat(columns, -1)

    pairs = pair_rows(s, (residual, jacobian), known * facing, state, seen, weights)
    rows = Residuals(
        torch.cat([residual.flatten(1), pairs.value], 1),
        torch.cat([both_axes(row_weight), pairs.weight], 1),
        torch.cat([jacobian.flatten(1, 2), pairs.jacobian], 1),
    )
    return rows, squared
