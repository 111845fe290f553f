"""Every pixel of a small picture, drawn as a camera sees it: averaged over its area, and out of focus.

At 40 px a pixel is 5 mm of a face, and colours at points of the surface (`fitting.energy.terms`) tell less than there is. So
the head is drawn `FINER` times larger, over what is behind it, and averaged; the derivatives likewise, by material
point: its own colour's change, less the picture's gradient times its motion. Across an outline the gradient is that to
what is behind, and the motion the nearer surface's (as in OpenDR, Loper & Black 2014), so outlines count.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, embedding_bag, max_pool2d, normalize, pad

from facemodel.base import FaceModel
from fitting.energy.terms import FLIP, eye_rotation, projection, srgb_slope
from fitting.observation.crop import Pixels
from fitting.solver.state import FitState, Layout
from geometry.camera import Camera
from geometry.color import linear_to_srgb
from geometry.mesh import vertex_normals
from geometry.spherical_harmonics import sh_basis, sh_basis_gradient, shade
from renderer.rasterizers import rasterize
from renderer.scene import behind_skin

FINER = 6  # drawn px a px, along each axis
STEP = 1.0  # mm: a jump in depth that is an outline
FAR = 1e9  # mm
TOUCHED = 0.02  # cover from which on a pixel shows some of the head


class Drawing:
    """A frame's head as the camera sees it, in front of ``behind`` (H, W, 3); None: of a guess from the pixels around.

    ``blur`` () px of the picture, the focus' standard deviation. ``colour`` (H, W, 3) sRGB, ``cover`` (H, W) 0 to 1.
    """

    def __init__(
        self, model: FaceModel, state: FitState, seen: Pixels, blur: Tensor, behind: Tensor | None = None
    ) -> None:
        self.model, self.state, self.seen, self.blur = model, state, seen, blur
        self.size = height, width = seen.picture.shape[:2]
        self.surface = _Surface(model, state)
        middle = (seen.centre - seen.corner) * FINER
        self.focal = state.log_focal.exp() * FINER
        camera = Camera(focal=self.focal, width=width * FINER, height=height * FINER, cx=middle[0], cy=middle[1])
        points = behind_skin(model, self.surface.points, state.expression[0])
        fragments = rasterize(points[None], model.triangles, camera)
        self.faces, self.bary = fragments.pix_to_face.flatten(), fragments.bary_coords.view(-1, 3)
        self.depth = fragments.zbuf[0, ..., 0]
        self.cover = _smaller(fragments.mask.float(), blur)[0]
        self.albedo = model.albedo(state.reflectance)
        self._put_before(guess_behind(seen.picture, self.cover) if behind is None else behind)

    def with_guess_behind(self) -> Drawing:
        """The same in front of a guess from the pixels around it."""
        other = copy.copy(self)
        other._put_before(guess_behind(self.seen.picture, self.cover))
        return other

    def _put_before(self, behind: Tensor) -> None:
        self.behind = behind
        self.fine = self._fine()
        self.colour = _smaller(self.fine, self.blur).permute(1, 2, 0)

    def _fine(self) -> Tensor:
        """(3, h, w) before it is averaged."""
        covered = (self.faces >= 0).nonzero()[:, 0]
        corners, weight = self.model.triangles[self.faces[covered]], self.bary[covered, :, None]
        at = lambda x: (x[corners] * weight).sum(1)  # noqa: E731
        lit = shade(at(self.albedo), normalize(at(self.surface.normals), dim=-1), self.state.light[0])
        size = [n * FINER for n in self.size]
        around = torch.nn.functional.interpolate(self.behind.permute(2, 0, 1)[None], size=size, mode="bilinear")[0]
        out = around.flatten(1).T.contiguous()
        out[covered] = linear_to_srgb(lit.clamp(0, 1))
        return out.T.reshape(3, *size)

    def by_blur(self) -> Tensor:
        """(H, W, 3) by the logarithm of the blur."""
        change = _smaller(self.fine, self.blur * 1.05) - _smaller(self.fine, self.blur / 1.05)
        return change.permute(1, 2, 0) / (2 * math.log(1.05))

    def jacobian(self, layout: Layout) -> Tensor:
        """(H, W, 3, C) in the layout's order."""
        covered = (self.faces >= 0).nonzero()[:, 0]
        index = self.model.triangles[self.faces[covered]].unique()
        motion, tint = self.surface.derivatives(index, self.albedo, self.focal, layout)
        out = self._averages(covered, covered, index)(tint)  # (H W, 3, C)
        pixels, source = self._movers()
        averaged = self._averages(pixels, source, index)
        for axis, gradient in enumerate(self._gradients()):
            for c in range(3):
                out[:, c] -= averaged(motion[:, axis], gradient[c, pixels])
        return _blurred(out.view(*self.size, 3, -1).permute(3, 2, 0, 1), self.blur).permute(2, 3, 1, 0)

    def _gradients(self) -> tuple[Tensor, Tensor]:
        """(3, h w) each: derivatives of what is drawn by x and by y."""
        across = pad(self.fine[None], (1, 1, 0, 0), mode="replicate")[0]
        down = pad(self.fine[None], (0, 0, 1, 1), mode="replicate")[0]
        both = across[..., 2:] - across[..., :-2], down[:, 2:] - down[:, :-2]
        return tuple((x / 2).flatten(1) for x in both)

    def _movers(self) -> tuple[Tensor, Tensor]:
        """Drawn pixels whose colour moves, and the pixel whose surface moves it: the nearest that touches it."""
        distance = torch.where((self.faces >= 0).view(self.depth.shape), self.depth, torch.full_like(self.depth, FAR))
        least, place = max_pool2d(-distance[None, None], 3, stride=1, padding=1, return_indices=True)
        behind = distance > STEP - least[0, 0]
        itself = torch.arange(len(self.faces), device=self.faces.device)
        pixels = (least.flatten() > -FAR).nonzero()[:, 0]
        return pixels, torch.where(behind.flatten(), place.flatten(), itself)[pixels]

    def _averages(self, pixels: Tensor, source: Tensor, index: Tensor):
        """A function of values (v, ...) of the vertices ``index`` and factors (P,) or None.

        It returns what the surface in ``source`` (P,) has of the values, times the factors, averaged over the drawn
        ``pixels`` (P,) of each pixel: (H W, ...).
        """
        height, width = self.size
        target = pixels // (width * FINER) // FINER * width + pixels % (width * FINER) // FINER
        target, order = target.sort(stable=True)
        number = index.new_zeros(len(self.surface.points))
        number[index] = torch.arange(len(index), device=index.device)
        vertices = number[self.model.triangles[self.faces[source[order]]]].flatten()
        first = 3 * torch.searchsorted(target, torch.arange(height * width, device=index.device))
        weight = self.bary[source[order]] / FINER**2

        def averaged(values: Tensor, factor: Tensor | None = None) -> Tensor:
            share = weight if factor is None else weight * factor[order, None]
            out = embedding_bag(vertices, values.flatten(1), first, mode="sum", per_sample_weights=share.flatten())
            return out.unflatten(1, values.shape[1:])

        return averaged


def guess_behind(picture: Tensor, cover: Tensor) -> Tensor:
    """(H, W, 3): the picture where there's nothing of the head, and the mean around elsewhere."""
    outside = (cover < TOUCHED).to(picture)
    image = torch.cat([picture * outside[..., None], outside[..., None]], -1).permute(2, 0, 1)
    out = picture * outside[..., None]
    missing = 1 - outside
    for reach in (1.0, 2.0, 4.0, 8.0, 16.0, 64.0):
        mean = _blurred(image[None], picture.new_tensor(reach))[0]
        known = (mean[3] > 0.02).to(picture) * missing
        out = out + (mean[:3] / mean[3].clamp_min(1e-6)).permute(1, 2, 0) * known[..., None]
        missing = missing - known
    return out


class _Surface:
    """The head's vertices, and their derivatives."""

    def __init__(self, model: FaceModel, state: FitState) -> None:
        self.model, self.state, self.flip = model, state, state.light.new_tensor(FLIP)
        self.vertices = model.vertices(state.identity, state.expression[0], state.gaze[0])  # model frame
        self.turned = self.vertices @ state.rotation[0].T
        self.points = self.turned * self.flip + state.translation[0]  # camera frame
        self.normals = vertex_normals(self.turned, model.triangles)

    def derivatives(self, index: Tensor, albedo: Tensor, focal: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """Of the vertices ``index``: motion (v, 2, C) in drawn px, and change of the colour (v, 3, C)."""
        model, state, at = self.model, self.state, layout.slices()
        shape = state.rotation[0] @ self._shape()  # (V, 3, I + E + 4)
        blocks = {"identity": layout.identity, "expression": layout.expression, "gaze": 4}
        motion, tint = shape.new_zeros(2, len(index), 3, layout.shared + layout.frame)
        motion = motion[:, :2]

        uv, by_point = (x[0] for x in projection(self.points[None, index], focal))
        by_turned = by_point * self.flip
        own, normal = albedo[index], self.normals[index]
        basis, shading = sh_basis(normal), sh_basis(normal) @ state.light[0]
        linear = (own * shading).clamp_min(1e-4)
        slope = srgb_slope(linear) * (linear < 1)
        by_normal = (slope * own)[..., None] * torch.einsum("vbk,bc->vck", sh_basis_gradient(normal), state.light[0])
        moved, tinted = by_turned @ shape[index], by_normal @ self._normals(index, shape)
        for name, a, b in zip(blocks, moved.split([*blocks.values()], -1), tinted.split([*blocks.values()], -1)):
            motion[..., at[name]], tint[..., at[name]] = a, b
        # A step w of the rotation moves R x by w x (R x), and a normal likewise: g . (w x n) = w . (n x g).
        for out, g, x in ((motion, by_turned, self.turned[index]), (tint, by_normal, normal)):
            out[..., at["rotation"]] = torch.linalg.cross(x[:, None].expand_as(g), g)
        motion[..., at["translation"]], motion[..., at["log_focal"]] = by_point, uv[..., None]
        tint[..., at["reflectance"]] = (slope * shading)[..., None] * model.albedo_basis[:, index].permute(1, 2, 0)
        for c in range(3):
            channel = slice(at["light"].start + 9 * c, at["light"].start + 9 * (c + 1))
            tint[:, c, channel] = (slope * own)[:, c, None] * basis
        return motion, tint

    def _shape(self) -> Tensor:
        """(V, 3, I + E + 4): the vertices' motion, model frame, by identity, expression and gaze."""
        model, state = self.model, self.state
        basis = torch.cat([model.identity_basis, model.expression_basis, model.mean.new_zeros(4, *model.mean.shape)])
        out = basis.permute(1, 2, 0).contiguous()
        turn, by_yaw, by_pitch = eye_rotation(state.gaze[0])
        plain = model.vertices(state.identity, state.expression[0])
        centres = model.eye_centers(state.identity)
        for eye, index in enumerate(model.eyes.vertices):
            n = len(model.identity_basis)
            centre = model.eye_center_basis[:, eye].T  # (3, I)
            out[index] = turn[eye] @ out[index]
            out[index, :, :n] = out[index, :, :n] + (centre - turn[eye] @ centre)
            offset = plain[index] - centres[eye]
            first = out.shape[-1] - 4 + 2 * eye
            out[index, :, first] = offset @ by_yaw[eye].T
            out[index, :, first + 1] = offset @ by_pitch[eye].T
        return out

    def _normals(self, index: Tensor, shape: Tensor) -> Tensor:
        """(v, 3, S): derivatives of the unit normals of the vertices ``index`` by ``shape`` (V, 3, S)."""
        wanted = torch.zeros(len(shape), dtype=torch.bool, device=shape.device)
        wanted[index] = True
        triangles = self.model.triangles[wanted[self.model.triangles].any(1)]
        a, b, c = (self.turned[triangles[:, k], :, None] for k in range(3))
        da, db, dc = (shape[triangles[:, k]] for k in range(3))
        p, q = b - a, c - a
        change = torch.linalg.cross(db - da, q.expand_as(da), dim=1) + torch.linalg.cross(
            p.expand_as(da), dc - da, dim=1
        )
        total, plain = torch.zeros_like(shape), torch.zeros_like(self.turned)
        for k in range(3):
            total.index_add_(0, triangles[:, k], change)
            plain.index_add_(0, triangles[:, k], torch.linalg.cross(p, q, dim=1)[..., 0])
        d = total[index] / plain[index].norm(dim=-1).clamp_min(1e-12)[:, None, None]
        unit = self.normals[index]
        return d - unit[..., None] * (unit[:, None] @ d)


def _smaller(image: Tensor, blur: Tensor) -> Tensor:
    """(C, h, w) drawn to (C, H, W) seen."""
    return _blurred(avg_pool2d(image[None], FINER), blur)[0]


def _blurred(images: Tensor, blur: Tensor) -> Tensor:
    """(N, C, H, W), by a Gaussian of ``blur`` px; the outermost pixels go on beyond the edges."""
    down, across = (_blurring(n, blur, images) for n in images.shape[2:])
    return down @ images @ across.T


def _blurring(count: int, blur: Tensor, like: Tensor) -> Tensor:
    """(count, count): a row of pixels to the same out of focus."""
    reach = max(1, math.ceil(4 * float(blur)))
    x = torch.arange(-reach, reach + 1, device=like.device)
    kernel = torch.softmax(-0.5 * (x / blur.to(like)).square(), 0).to(like)
    row = torch.arange(count, device=like.device)[:, None]
    out = like.new_zeros(count, count)
    return out.index_put_((row.expand(-1, len(x)), (row + x).clamp(0, count - 1)), kernel.expand(count, -1), True)
