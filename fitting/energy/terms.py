"""The energy's residuals with their analytic Jacobians, for F frames at once.

Face2Face's energy (Thies et al., CVPR 2016, eq. 3 to 8): a robust photometric term over visible surface points and
a landmark term; the priors are in `fitting.energy.priors`. Everything is differentiated in closed form: a surface point's
position and two tangents are linear in the coefficients (`fitting.energy.samples`), so each residual's derivative by those
nine numbers is enough, and the coefficients' columns are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fitting.energy.samples import LandmarkSamples, SurfaceSamples
from fitting.observation.crop import Observation
from fitting.solver.state import FitState, Layout
from geometry.color import linear_to_srgb
from geometry.spherical_harmonics import sh_basis, sh_basis_gradient


@dataclass(frozen=True)
class Weights:
    """How much each data term counts. A term counts as many independent measurements as its weight says."""

    colour: float = 300.0
    colour_scale: float = 0.06  # of 1; residuals well above it are taken for occluders
    landmarks: float = 160.0
    landmark_scale: float = 0.015  # of the face's size
    pairs: float = 60.0  # openings of lids and lips
    brows: float = 5.0  # their heights over the corners of the eyes
    pair_scale: float = 0.006  # of the face's size, of both

    def by_pair(self, s: LandmarkSamples) -> Tensor:
        """(P,) how much each pair of landmarks counts."""
        brows = len(s.on_brows)
        others = len(s.pairs) - brows
        strengths = [self.pairs / others] * others + [self.brows / brows] * brows
        return torch.tensor(strengths, device=s.mean.device)


@dataclass(frozen=True)
class Residuals:
    """Rows of one term: minimised is 1/2 sum of weight * value^2 over all rows."""

    value: Tensor  # (F, R)
    weight: Tensor  # (F, R)
    jacobian: Tensor  # (F, R, S + P), or (F, R, P) where the shared columns are left out
    by_detail: Tensor | None = None  # (F, R) derivative of the photometric rows by the sample's own albedo


FLIP = (1.0, -1.0, -1.0)


def _flip(like: Tensor) -> Tensor:
    return torch.tensor(FLIP, dtype=like.dtype, device=like.device)


def projection(points: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
    """Camera frame (F, N, 3) to px about the principal point (F, N, 2), and the derivative (F, N, 2, 3)."""
    inverse_z = 1 / points[..., 2]
    uv = focal * points[..., :2] * inverse_z[..., None]
    zero = torch.zeros_like(inverse_z)
    fz = focal * inverse_z
    rows = [torch.stack([fz, zero, -uv[..., 0] * inverse_z], -1), torch.stack([zero, fz, -uv[..., 1] * inverse_z], -1)]
    return uv, torch.stack(rows, -2)


def srgb_slope(linear: Tensor) -> Tensor:
    """Derivative of `linear_to_srgb`; none at 1e-4 and below, where colours are held."""
    high = (1.055 / 2.4) * linear.clamp_min(0.0031308) ** (1 / 2.4 - 1)
    slope = torch.where(linear <= 0.0031308, torch.full_like(linear, 12.92), high)
    return torch.where(linear <= 1e-4, torch.zeros_like(slope), slope)


class SurfaceGeometry:
    """What the samples are before expression: nine numbers each, and their albedo (`fitting.solver.detail`)."""

    def __init__(self, samples: SurfaceSamples, identity: Tensor, reflectance: Tensor, detail: Tensor) -> None:
        self.samples = samples
        self.neutral = samples.mean + samples.identity @ identity
        self.albedo = samples.albedo_mean + samples.albedo @ reflectance + detail


def photometric(
    geometry: SurfaceGeometry,
    state: FitState,
    seen: Observation,
    level: int,
    visible: Tensor,
    weights: Weights,
    layout: Layout,
    shared: bool,
) -> tuple[Residuals, Tensor, Tensor]:
    """Colour of each surface point under the fitted light minus the picture's at its projection, in sRGB.

    Args:
        visible: (F, N) in [0, 1]: which points the camera sees (`fitting.energy.visibility`).
        shared: whether the columns of identity, reflectance and focal length are wanted.

    Returns:
        Rows ordered (point, channel); the squared error a point (F, N), and its weight before the robust one (F, N).
    """
    s = geometry.samples
    count, frames = len(s), len(state)
    nine = geometry.neutral + torch.einsum("nkj,fj->fnk", s.expression, state.expression)
    rotation, focal = state.rotation, state.log_focal.exp()
    flip = _flip(nine)
    rotated = nine.view(frames, count, 3, 3) @ rotation.transpose(1, 2)[:, None]  # rows: R p, R t1, R t2
    p, t1, t2 = rotated.unbind(2)
    uv, d_uv = projection(p * flip + state.translation[:, None], focal)

    scale = level / seen.side
    points = (uv + (seen.frame_centre - seen.corner)[:, None]) * scale[:, None, None]
    colour, gradient, inside = seen.levels[level].sample(points)

    m = torch.linalg.cross(t1, t2)
    length = m.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    normal = m / length
    basis = sh_basis(normal)
    shading = basis @ state.light  # (F, N, 3)
    linear = (geometry.albedo * shading).clamp_min(1e-4)
    shown = linear_to_srgb(linear)
    slope = srgb_slope(linear)

    residual = shown - colour  # (F, N, 3)
    squared = residual.square().sum(-1)
    # A face-on point covers more pixels than one seen at a grazing angle.
    facing = -(normal * flip * torch.nn.functional.normalize(p * flip + state.translation[:, None], dim=-1)).sum(-1)
    weight = visible * inside * facing.clamp(0, 1)
    robust = 1 / (1 + squared / weights.colour_scale**2)
    total = weight.sum(1, keepdim=True).clamp_min(count * 0.05)
    row_weight = weight * robust * (weights.colour / weights.colour_scale**2 / 3) / total

    # Derivative of each residual by R p (through the image), and by R t1, R t2 (through the normal).
    image = torch.einsum("fncu,fnuj->fncj", gradient * scale[:, None, None, None], d_uv)  # by camera-frame position
    by_p = -image * flip
    albedo_slope = slope * geometry.albedo
    by_normal = albedo_slope[..., None] * torch.einsum("fnkj,fkc->fncj", sh_basis_gradient(normal), state.light)
    by_m = (by_normal - (by_normal * normal[:, :, None]).sum(-1, keepdim=True) * normal[:, :, None]) / length[..., None]
    # m = t1 x t2: a row g of by_m gives g . (dt1 x t2) = (t2 x g) . dt1 and g . (t1 x dt2) = (g x t1) . dt2
    by_t1 = torch.linalg.cross(t2[:, :, None].expand_as(by_m), by_m)
    by_t2 = torch.linalg.cross(by_m, t1[:, :, None].expand_as(by_m))
    by_nine = torch.stack([by_p, by_t1, by_t2], -2)  # (F, N, 3, 3, 3), by the rotated vectors
    unrotated = (by_nine @ rotation[:, None, None]).flatten(-2)  # by the model-frame nine numbers

    # A step w of the rotation moves R x by w x (R x): g . (w x x) = w . (x x g).
    by_rotation = sum(
        torch.linalg.cross(x[:, :, None].expand_as(g), g) for x, g in ((p, by_p), (t1, by_t1), (t2, by_t2))
    )
    columns = [by_rotation, -image, unrotated @ s.expression]
    columns.append(nine.new_zeros(frames, count, 3, 4))
    light = (
        albedo_slope[..., None, None]
        * basis[:, :, None, None, :]
        * torch.eye(3, dtype=nine.dtype, device=nine.device)[..., None]
    )
    columns.append(light.flatten(-2))
    if shared:
        by_focal = -torch.einsum("fncu,fnu->fnc", gradient, uv * scale[:, None, None])
        by_reflectance = (slope * shading)[..., None] * s.albedo
        columns = [unrotated @ s.identity, by_reflectance, by_focal[..., None], *columns]
    jacobian = torch.cat(columns, -1).flatten(1, 2)
    by_detail = (slope * shading).flatten(1)
    rows = Residuals(residual.flatten(1), row_weight[..., None].expand(-1, -1, 3).flatten(1), jacobian, by_detail)
    return rows, squared, weight


def eye_rotation(gaze: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gaze (..., 2) yaw, pitch to the eyeball's rotation (..., 3, 3) and its derivatives by yaw and by pitch."""
    yaw, pitch = gaze.unbind(-1)
    cy, sy, cp, sp = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()
    o, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    matrix = lambda *e: torch.stack(e, -1).view(*yaw.shape, 3, 3)  # noqa: E731
    turn = matrix(cy, o, sy, o, one, o, -sy, o, cy)
    tilt = matrix(one, o, o, o, cp, sp, o, -sp, cp)
    d_turn = matrix(-sy, o, cy, o, o, o, -cy, o, -sy)
    d_tilt = matrix(o, o, o, o, -sp, cp, o, -cp, -sp)
    return turn @ tilt, d_turn @ tilt, turn @ d_tilt


@dataclass(frozen=True)
class _Eyeballs:
    """The K landmarks on eyeballs, turned by the gaze."""

    index: Tensor  # (K,) which landmarks
    side: Tensor  # (K,) of which eye
    points: Tensor  # (F, K, 3) mm
    turn: Tensor  # (F, K, 3, 3)
    by_gaze: tuple[Tensor, Tensor]  # (F, K, 3) derivative of the points by yaw, by pitch


def _eyeballs(s: LandmarkSamples, skin: Tensor, state: FitState) -> _Eyeballs:
    """``skin`` (F, L, 3) are the landmarks with the eyes straight ahead."""
    turn, by_yaw, by_pitch = eye_rotation(state.gaze)  # (F, 2, 3, 3)
    index = (s.eye >= 0).nonzero().flatten()
    side = s.eye[index]
    centre = s.centre_mean[side] + s.centre_identity[side] @ state.identity  # (K, 3)
    offset = (skin[:, index] - centre)[..., None]
    moved = tuple((d[:, side] @ offset)[..., 0] for d in (by_yaw, by_pitch))
    return _Eyeballs(index, side, centre + (turn[:, side] @ offset)[..., 0], turn[:, side], moved)


def landmarks(
    s: LandmarkSamples,
    neutral: Tensor,
    state: FitState,
    seen: Observation,
    weights: Weights,
    layout: Layout,
    shared: bool,
) -> tuple[Residuals, Tensor]:
    """Projected landmarks minus detected ones, in units of the face's size, and openings of lids and lips.

    Args:
        neutral: (L, 3) mm, mean + identity part of the landmarks.

    Returns:
        Rows ordered (landmark, axis), then (pair, axis); and the squared distance a landmark (F, L). Of a brow's pair
        the first row is its height across the line between the eyes, the second nothing.
    """
    frames, count = len(state), len(s.mean)
    rotation, focal, flip = state.rotation, state.log_focal.exp(), _flip(neutral)
    skin = neutral + torch.einsum("lkj,fj->flk", s.expression, state.expression)
    eyes = _eyeballs(s, skin, state)
    model_points = skin.clone()
    model_points[:, eyes.index] = eyes.points

    p = model_points @ rotation.transpose(1, 2)
    uv, d_uv = projection(p * flip + state.translation[:, None], focal)
    unit = 1 / seen.face_size[:, None, None]
    observed = seen.landmarks - seen.frame_centre
    known = observed.isfinite().all(-1)
    residual = torch.where(known[..., None], (uv - observed) * unit, torch.zeros_like(uv))
    squared = residual.square().sum(-1)

    normal = s.normal @ rotation.transpose(1, 2)
    facing = (normal[..., 2] / 0.4 + 0.5).clamp(0.1, 1)
    weight = (s.weights if seen.reliability is None else seen.reliability) * facing * known
    openness = eye_openness(seen.landmarks, s)  # (F, 2)
    weight[:, eyes.index] = weight[:, eyes.index] * (openness[:, eyes.side] / 0.15).clamp(0, 1)
    total = weight.sum(1, keepdim=True).clamp_min(1e-3)
    scaled = squared / weights.landmark_scale**2
    loss_weight = 1 / (1 + scaled / 4)
    row_weight = weight * loss_weight * (weights.landmarks / weights.landmark_scale**2 / 2) / total

    by_camera = d_uv * unit[..., None]  # (F, L, 2, 3)
    by_p = by_camera * flip
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
        by_linear @ s.expression,
        by_gaze.flatten(-2),
        p.new_zeros(frames, count, 2, 27),
    ]
    if shared:
        by_identity = by_linear @ s.identity
        by_centre = (by_model[:, eyes.index] - by_linear[:, eyes.index]) @ s.centre_identity[eyes.side]
        by_identity[:, eyes.index] = by_identity[:, eyes.index] + by_centre
        columns = [by_identity, p.new_zeros(frames, count, 2, layout.reflectance), (uv * unit)[..., None], *columns]
    jacobian = torch.cat(columns, -1)

    sure = known * facing
    pairs = _pairs(s, residual, jacobian, sure, state, seen, weights)
    rows = Residuals(
        torch.cat([residual.flatten(1), pairs.value], 1),
        torch.cat([_both(row_weight), pairs.weight], 1),
        torch.cat([jacobian.flatten(1, 2), pairs.jacobian], 1),
    )
    return rows, squared


def _both(x: Tensor) -> Tensor:
    """(F, K) to the same for both axes of each, (F, 2 K)."""
    return x[..., None].expand(*x.shape, 2).flatten(1)


def _pairs(
    s: LandmarkSamples,
    residual: Tensor,  # (F, L, 2)
    jacobian: Tensor,  # (F, L, 2, C)
    sure: Tensor,  # (F, L) 0 to 1
    state: FitState,
    seen: Observation,
    weights: Weights,
) -> Residuals:
    """Rows of the pairs of landmarks, see `landmarks`."""
    a, b = s.pairs.unbind(1)
    value, derivative = residual[:, a] - residual[:, b], jacobian[:, a] - jacobian[:, b]
    brows, across = slice(len(a) - len(s.on_brows), None), across_eyes(seen, s)[:, None]
    first = lambda x, dim: torch.stack([x, torch.zeros_like(x)], dim)  # noqa: E731
    value[:, brows] = first((value[:, brows] * across).sum(-1) + state.brows, -1)
    derivative[:, brows] = first((derivative[:, brows] * across[..., None]).sum(-2), -2)
    weight = torch.minimum(sure[:, a], sure[:, b]) * weights.by_pair(s) / (2 * weights.pair_scale**2)
    weight = weight / (1 + value.square().sum(-1) / (4 * weights.pair_scale) ** 2)
    return Residuals(value.flatten(1), _both(weight), derivative.flatten(1, 2))


def across_eyes(seen: Observation, s: LandmarkSamples) -> Tensor:
    """(F, 2): unit vectors in the picture, up across the line between the eyes; zero where those aren't known."""
    left, right = seen.landmarks[:, s.eye_corners].mean(2).unbind(1)
    along = left - right
    across = torch.stack([along[:, 1], -along[:, 0]], -1)  # v points down
    return torch.nan_to_num(across / across.norm(dim=-1, keepdim=True).clamp_min(1e-6))


def eye_openness(points: Tensor, s: LandmarkSamples) -> Tensor:
    """Opening of the lids over the width of the eye (the eye-aspect ratio): (F, L, 2) px -> (F, 2), left first."""
    half = s.eye_pairs // 2
    a, b = s.pairs[: s.eye_pairs].unbind(1)
    opening = (points[:, a] - points[:, b]).norm(dim=-1).view(-1, 2, half).mean(-1)
    inner, outer = s.eye_corners.unbind(1)
    width = (points[:, inner] - points[:, outer]).norm(dim=-1)
    return torch.nan_to_num(opening / width.clamp_min(1e-6))
