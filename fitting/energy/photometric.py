"""The photometric term: colours of surface points under the fitted light against the picture's, robustly.

Face2Face's energy (Thies et al., CVPR 2016, eq. 3 to 8). A surface point's position and two tangents are linear in the
coefficients (`fitting.energy.surface`), so each residual's derivative by those nine numbers is enough, and the
coefficients' columns are one matrix product. Enter a `SampledSurface`, a state and an observation, leave weighted rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fitting.energy.kernel_types import Pose
from fitting.energy.residuals import Residuals, compiled, flip, projection
from fitting.energy.surface import SampledSurface
from fitting.observation.crop import Observation
from fitting.policy.weights import TermWeights
from fitting.solver.state import FitState, Layout
from geometry.color import linear_to_srgb
from geometry.spherical_harmonics import sh_basis, sh_basis_gradient


@dataclass(frozen=True)
class Look:
    """Where the photometric term looks."""

    seen: Observation
    level: int  # px, of the pyramid
    visible: Tensor  # (F, N) in [0, 1]: which points the camera sees (`fitting.energy.visibility`)


@dataclass(frozen=True)
class PhotometricRows:
    """The photometric term of F frames."""

    rows: list[Tensor]  # F of (R, C + 1), each row times the root of its weight, the residual last
    by_detail: Tensor | None  # (F, 3 N), weighted likewise, where the shared columns are wanted
    squared: Tensor  # (F, N) squared error a sample, summed over the channels
    seen: Tensor  # (F, N) how much of a sample is seen, 0 to 1


def photometric_rows(
    surface: SampledSurface, state: FitState, look: Look, weights: TermWeights, layout: Layout, shared: bool
) -> PhotometricRows:
    """`photometric` as weighted rows: by the compiled kernel on the CPU, by that reference elsewhere.

    Without the ``shared`` columns, rows of samples that aren't seen may be left out.
    """
    rows = _compiled if compiled(state.light) else by_reference
    return rows(surface, state, look, weights, layout, shared)


def by_reference(surface, state, look, weights, layout, shared) -> PhotometricRows:
    """In plain torch, on any device."""
    terms, squared, weight = photometric(surface, state, look, weights, layout, shared)
    by_detail = terms.by_detail * terms.weight.sqrt() if shared else None
    return PhotometricRows(list(terms.weighted()), by_detail, squared, weight)


def _compiled(surface, state, look, weights, layout, shared) -> PhotometricRows:
    from fitting.energy import photometric_kernel as kernel

    seen, count, frames = look.seen, len(surface), len(state)
    first = layout.shared if shared else 0
    width = first + layout.frame + 1
    scale, offset = look.level / seen.side, seen.frame_centre - seen.corner
    focal = state.log_focal.exp()
    images = seen.levels[look.level].stack.permute(0, 2, 3, 1).contiguous()
    squared, weight = torch.empty(2, frames, count)
    by_detail = torch.zeros(frames, 3 * count)
    motion, colour_scale = state.motion, np.float32(weights.colour_scale)
    columns = kernel.Columns(shared, not shared, first)
    rows = []
    for f in range(frames):
        p = surface.points.frame(f)
        nine = torch.addmv(p.neutral.reshape(-1), p.motion.view(9 * count, -1), motion[f]).view(count, 9)
        out = torch.zeros(3 * count, width) if shared else torch.empty(3 * count, width)
        used, total = kernel.photometric_rows(
            kernel.Samples(nine.numpy(), surface.albedo.numpy(), look.visible[f].numpy()),
            kernel.Bases(p.motion.numpy(), p.identity.numpy(), surface.reflectance.numpy()),
            kernel.Picture(images[f].numpy(), offset[f].numpy(), scale[f].numpy()[()]),
            Pose(state.rotation[f].contiguous().numpy(), state.translation[f].numpy(), focal.numpy()[()]),
            state.light[f].contiguous().numpy(),
            colour_scale,
            columns,
            kernel.Out(out.numpy(), by_detail[f].numpy(), squared[f].numpy(), weight[f].numpy()),
        )
        total = max(total, weights.least_seen * count)
        factor = (weights.colour / weights.colour_scale**2 / 3 / total) ** 0.5
        used = 3 * count if shared else used
        rows.append(out[:used].mul_(factor))
        by_detail[f] *= factor
    return PhotometricRows(rows, by_detail if shared else None, squared, weight)


def srgb_slope(linear: Tensor) -> Tensor:
    """Derivative of `linear_to_srgb`; none at 1e-4 and below, where colours are held."""
    high = (1.055 / 2.4) * linear.clamp_min(0.0031308) ** (1 / 2.4 - 1)
    slope = torch.where(linear <= 0.0031308, torch.full_like(linear, 12.92), high)
    return torch.where(linear <= 1e-4, torch.zeros_like(slope), slope)


def photometric(
    surface: SampledSurface, state: FitState, look: Look, weights: TermWeights, layout: Layout, shared: bool
) -> tuple[Residuals, Tensor, Tensor]:
    """Colour of each surface point under the fitted light minus the picture's at its projection, in sRGB.

    Args:
        shared: whether the columns of identity, reflectance and focal length are wanted.

    Returns:
        Rows ordered (point, channel); the squared error a point (F, N), and its weight before the robust one (F, N).
    """
    seen, count, frames = look.seen, len(surface), len(state)
    nine = surface.points.at(state.motion)
    rotation, focal = state.rotation, state.log_focal.exp()
    axes = flip(nine)
    rotated = nine.view(frames, count, 3, 3) @ rotation.transpose(1, 2)[:, None]  # rows: R p, R t1, R t2
    p, t1, t2 = rotated.unbind(2)
    uv, d_uv = projection(p * axes + state.translation[:, None], focal)

    scale = look.level / seen.side
    points = (uv + (seen.frame_centre - seen.corner)[:, None]) * scale[:, None, None]
    colour, gradient, inside = seen.levels[look.level].sample(points)

    m = torch.linalg.cross(t1, t2)
    length = m.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    normal = m / length
    basis = sh_basis(normal)
    shading = basis @ state.light  # (F, N, 3)
    linear = (surface.albedo * shading).clamp_min(1e-4)
    shown = linear_to_srgb(linear)
    slope = srgb_slope(linear)

    residual = shown - colour  # (F, N, 3)
    squared = residual.square().sum(-1)
    # A face-on point covers more pixels than one seen at a grazing angle.
    facing = -(normal * axes * torch.nn.functional.normalize(p * axes + state.translation[:, None], dim=-1)).sum(-1)
    weight = look.visible * inside * facing.clamp(0, 1)
    robust = 1 / (1 + squared / weights.colour_scale**2)
    total = weight.sum(1, keepdim=True).clamp_min(count * weights.least_seen)
    row_weight = weight * robust * (weights.colour / weights.colour_scale**2 / 3) / total

    # Derivative of each residual by R p (through the image), and by R t1, R t2 (through the normal).
    image = torch.einsum("fncu,fnuj->fncj", gradient * scale[:, None, None, None], d_uv)  # by camera-frame position
    by_p = -image * axes
    albedo_slope = slope * surface.albedo
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
    columns = [by_rotation, -image, unrotated @ surface.points.motion]
    columns.append(nine.new_zeros(frames, count, 3, 4))
    light = (
        albedo_slope[..., None, None]
        * basis[:, :, None, None, :]
        * torch.eye(3, dtype=nine.dtype, device=nine.device)[..., None]
    )
    columns.append(light.flatten(-2))
    if shared:
        by_focal = -torch.einsum("fncu,fnu->fnc", gradient, uv * scale[:, None, None])
        by_reflectance = (slope * shading)[..., None] * surface.reflectance
        columns = [unrotated @ surface.points.identity, by_reflectance, by_focal[..., None], *columns]
    jacobian = torch.cat(columns, -1).flatten(1, 2)
    by_detail = (slope * shading).flatten(1)
    rows = Residuals(residual.flatten(1), row_weight[..., None].expand(-1, -1, 3).flatten(1), jacobian, by_detail)
    return rows, squared, weight
