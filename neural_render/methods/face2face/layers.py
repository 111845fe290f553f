"""Frames of the clip, moved: where each pixel of the wanted face, and of what is around it, is in another frame.

A `Source` is a frame with its fitted surface; a `Canvas` is the wanted surface, drawn once a frame, which says for any
source where its pixels come from (`Canvas.whole`, `Canvas.part`). Pixels of the frame throughout; x right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from geometry.camera import FLIP
from geometry.mesh import vertex_normals
from neural_render.methods.face2face.retrieval import region
from neural_render.methods.face2face.settings import INSIDE, Part, Policy
from neural_render.uv_gan.filling import smooth_fill
from renderer import Camera, interpolate, project, rasterize, sh_basis, surface_points

COARSE = 4
"""Fields are filled and blurred at this fraction of their size."""
DEEP = 4.0
"""mm behind the nearest surface at which a vertex counts as hidden."""


@dataclass(frozen=True)
class Source:
    """A frame with its fitted surface."""

    picture: np.ndarray  # (H, W, 3) uint8
    parameters: FaceParameters  # as they are drawn, no leading dimensions
    pixels: np.ndarray  # (V, 2) px
    light: np.ndarray  # (V, 3) linear RGB
    facing: np.ndarray  # (V,) cosine between normal and line of sight; 0 where hidden


@dataclass(frozen=True)
class Marks:
    """What depends on the model alone: numbers of its vertices."""

    head: np.ndarray  # (V,) 1 on what moves as the head does, 0 on the neck
    inside: np.ndarray  # (V,) bool, the inside of the mouth
    lids: np.ndarray  # (V,) bool
    parts: tuple[np.ndarray, ...]  # a part (V,): 0 to 1, how far it covers

    @classmethod
    def of(cls, model: FaceModel, parts: tuple[Part, ...]) -> Marks:
        mean, weights = model.mean.cpu().numpy(), []
        for part in parts:
            around = region(model, part.around)
            if not around.any():
                weights.append(np.zeros(len(mean), np.float32))
                continue
            tree = cv2.flann_Index(mean[around].astype(np.float32), {"algorithm": 1, "trees": 1})
            _, squared = tree.knnSearch(mean.astype(np.float32), 1)
            weight = 1 - step(np.sqrt(squared[:, 0]), *part.reach)
            weight[region(model, part.inside)] = 1
            weight[region(model, ("ears", "neck", "scalp"))] = 0
            weights.append(weight.astype(np.float32))
        head = 1 - region(model, ("neck",)).astype(np.float32)
        return cls(head, region(model, INSIDE), region(model, ("eyelids",)), tuple(weights))


@dataclass(frozen=True)
class Moved:
    """A source as the wanted face has it, over a window."""

    picture: np.ndarray  # (h, w, 3) float32, 0 to 255, relit
    seen: np.ndarray  # (h, w) 0 to 1: whether the source shows what is there


def step(x, low: float, high: float):
    """0 up to ``low``, 1 from ``high`` on, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def shading(model: FaceModel, parameters: FaceParameters, points: Tensor) -> tuple[np.ndarray, Tensor]:
    """(V, 3) linear RGB light at the vertices, and their normals (V, 3) in the camera's frame."""
    normals = vertex_normals(points, model.triangles)
    light = sh_basis(normals * points.new_tensor(FLIP)) @ parameters.illumination
    return light.clamp_min(0.04).numpy(), normals


def facing(points: Tensor, normals: Tensor) -> Tensor:
    return -torch.nn.functional.cosine_similarity(normals, points, dim=-1)


def source(model: FaceModel, p: FaceParameters, picture: np.ndarray, camera: Camera, policy: Policy) -> Source:
    """A frame's; p without leading dimensions."""
    points = surface_points(model, p)
    pixels = project(points, camera)
    light, normals = shading(model, p, points)
    low, high = pixels.amin(0).floor(), pixels.amax(0).ceil() + 1
    size = (high - low).clamp_min(2)
    scale = policy.visibility / float(size.max())
    shape = [max(2, int(s * scale)) for s in size.tolist()]
    window = camera.cropped(*low.tolist(), int(size[0]), int(size[1])).resized(*shape)
    depth = rasterize(points[None], model.triangles, window).zbuf[0, ..., 0]
    at = ((pixels - low) * torch.tensor(shape) / size).long()
    column, row = at[:, 0].clamp(0, shape[0] - 1), at[:, 1].clamp(0, shape[1] - 1)
    nearest = depth[row, column]
    hidden = (nearest >= 0) & (points[:, 2] > nearest + DEEP)
    cosine = facing(points, normals).clamp_min(0)
    cosine[hidden] = 0
    inside = (pixels >= 0).all(-1) & (pixels < pixels.new_tensor([camera.width, camera.height])).all(-1)
    return Source(picture, p, pixels.numpy(), light, (cosine * inside).numpy())


def filled(values: np.ndarray, weight: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W, C): values (h, w, C) float32 where ``weight`` (h, w) is, and smoothly beyond; at a coarse size if so.

    size: (width, height) of the result, if not that of the values.
    """
    height, width = weight.shape
    small = (max(2, width // COARSE), max(2, height // COARSE))
    summed = cv2.resize(values * weight[..., None], small, interpolation=cv2.INTER_AREA)
    total = cv2.resize(weight.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    summed = summed.reshape(*total.shape, -1)
    if not (total > 1e-4).any():
        return np.zeros((*(weight.shape if size is None else size[::-1]), values.shape[-1]), np.float32)
    known = torch.from_numpy(summed / np.maximum(total, 1e-4)[..., None])
    spread = smooth_fill(known, torch.from_numpy((total > 1e-2).astype(np.float32))).numpy()
    out = cv2.resize(spread, (width, height) if size is None else size, interpolation=cv2.INTER_LINEAR)
    return out.reshape(*out.shape[:2], -1)


class Canvas:
    """The wanted face, drawn.

    near: whether nothing but the expression moves, so that less of the surroundings has to be looked at.
    """

    def __init__(
        self, model: FaceModel, wanted: FaceParameters, camera: Camera, marks: Marks, policy: Policy, near: bool
    ) -> None:
        self.model, self.wanted, self.camera, self.marks, self.policy = model, wanted, camera, marks, policy
        points = surface_points(model, wanted)
        self.points, self.pixels = points, project(points, camera)
        self.light, normals = shading(model, wanted, points)
        head = self.pixels[torch.from_numpy(marks.head > 0.5)]
        low, high = head.amin(0), head.amax(0)
        self.height = float(high[1] - low[1])
        margin = (0.2 if near else 0.9) * self.height
        self.x0, self.y0 = (max(0, int(v - margin)) for v in low.tolist())
        x1, y1 = (min(limit, int(v + margin) + 1) for v, limit in zip(high.tolist(), (camera.width, camera.height)))
        self.size = max(2, x1 - self.x0), max(2, y1 - self.y0)  # width, height of the window, px
        self.scale = min(1.0, policy.resolution / max(self.size))
        self.drawn = tuple(max(2, round(s * self.scale)) for s in self.size)
        window = camera.cropped(self.x0, self.y0, *self.size).resized(*self.drawn)
        self.fragments = rasterize(points[None], model.triangles, window)
        front = facing(points, normals).clamp_min(0).numpy()
        fields = self._drawn(np.stack([marks.head, marks.inside, front, marks.lids, *marks.parts], 1))
        self.mesh = self.fragments.mask[0].numpy()
        self.inside = fields[..., 1] > 0.5
        self.head = self.mesh & (fields[..., 0] > 0.5)
        self.front, self.lids = fields[..., 2], fields[..., 3]
        self.alphas = [np.ascontiguousarray(fields[..., 4 + k]) for k in range(len(marks.parts))]
        self.away = self._distance(~self.head)  # px from the head
        self.within = self._distance(self.head)  # px from the head's outline
        y, x = np.mgrid[: self.drawn[1], : self.drawn[0]].astype(np.float32)
        self.place = np.stack([(x + 0.5) / self.scale + self.x0, (y + 0.5) / self.scale + self.y0], -1)  # px

    def _drawn(self, values: np.ndarray) -> np.ndarray:
        """(h, w, C) of the vertices' (V, C), at the size that is drawn."""
        values = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        return interpolate(self.fragments, values, self.model.triangles)[0].numpy()

    def _distance(self, where: np.ndarray) -> np.ndarray:
        return cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 3) / self.scale

    def full(self, field: np.ndarray) -> np.ndarray:
        """A field at the window's own size."""
        if field.shape[:2] == self.size[::-1]:
            return field
        return cv2.resize(field, self.size, interpolation=cv2.INTER_LINEAR)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        return slice(self.y0, self.y0 + self.size[1]), slice(self.x0, self.x0 + self.size[0])

    def _ratio(self, source: Source) -> np.ndarray:
        """(V, 3): what takes the source's pixels to the wanted light, as encoded (gamma 2.2)."""
        return np.clip(self.light / source.light, *self.policy.relit) ** np.float32(1 / 2.2)

    def whole(self, source: Source) -> Moved:
        """The source's frame with its head moved, and what is beside it moved along until it rests."""
        policy, was, now = self.policy, source.pixels, self.pixels.numpy()
        p, q = self.wanted, source.parameters
        turned = float((p.rotation - q.rotation).norm()) > 1e-4 or float((p.translation - q.translation).norm()) > 0.05
        if turned:
            turned_only = p.replace(expression=q.expression, gaze=q.gaze, joints=q.joints)
            between = project(surface_points(self.model, turned_only), self.camera).numpy()
        else:
            between = was
        fields = self._drawn(
            np.concatenate([between - now, self._ratio(source), source.facing[:, None], was - between], 1)
        )
        known = self.head & ~self.inside
        weight = known.astype(np.float32)
        expression = np.where(known[..., None], fields[..., :2], filled(fields[..., :2], weight))
        length = policy.fading_expression * self.height
        reach = max(length, policy.steepest * float(np.abs(expression[known]).max(initial=0)))
        expression *= (1 - step(self.away, 0, reach))[..., None]
        ratio = np.where(known[..., None], fields[..., 2:5], filled(fields[..., 2:5], weight))
        ratio = 1 + (ratio - 1) * (1 - step(self.away, 0, 0.3 * self.height))[..., None]
        hidden = 1 - step(fields[..., 5] / np.maximum(self.front, 0.05), 0.25, 0.6)
        missing = cv2.GaussianBlur((self.lids * hidden).astype(np.float32), (0, 0), 0.7)  # of an eye that closes
        motion = expression
        if turned:
            similar = similarity(between, was, self.marks.head > 0.5)
            beside = self.place @ similar[:, :2].T + similar[:, 2] - self.place
            rim = step(self.within, 0, policy.rim * self.height)[..., None].astype(np.float32)
            reach = max(policy.fading * self.height, policy.steepest * float(np.abs(beside[self.head]).max(initial=0)))
            rest = 1 - step(self.away, policy.hair * self.height, policy.hair * self.height + reach)
            motion = expression + rest[..., None] * (rim * fields[..., 6:8] + (1 - rim) * beside)
            missing = np.maximum(missing, self._without_specks(rim[..., 0] * hidden * ~self.inside))
        seen = self.full(1 - missing.astype(np.float32))
        return Moved(self._sampled(source.picture, self.place + motion, ratio), seen)

    def _without_specks(self, missing: np.ndarray) -> np.ndarray:
        """(h, w) 0 to 1: what is missing (h, w), without small holes, softly."""
        radius = max(1, round(self.policy.hole * self.height * self.scale))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        opened = cv2.dilate(cv2.erode(missing.astype(np.float32), disc), disc)
        return cv2.GaussianBlur(opened, (0, 0), radius)

    def part(self, source: Source, number: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """One part of a source, relit, (h, w, 3) float32, 0 to 255, and (h, w) 0 to 1: how far it covers.

        It doesn't where it isn't seen.
        """
        was, now = source.pixels, self.pixels.numpy()
        alpha = self.alphas[number]
        fields = self._drawn(np.concatenate([was - now, self._ratio(source), source.facing[:, None]], 1))
        known = self.mesh & (alpha > 0) & ~self.inside
        if part.follows:
            known &= fields[..., 5] > 0.05  # an eyeball behind a lid goes with what is seen of it
        weight = known.astype(np.float32)
        flow = np.where(known[..., None], fields[..., :2], filled(fields[..., :2], weight))
        ratio = np.where(known[..., None], fields[..., 2:5], filled(fields[..., 2:5], weight))
        seen = np.where(known, step(fields[..., 5] / np.maximum(self.front, 0.05), 0.2, 0.5), 1)
        cover = self.full((alpha * seen).astype(np.float32))
        return self._sampled(source.picture, self.place + flow, ratio), cover

    def _sampled(self, picture: np.ndarray, place: np.ndarray, ratio: np.ndarray) -> np.ndarray:
        """(h, w, 3) float32: the picture at places (h', w', 2) px, times a ratio."""
        at = self.full(place.astype(np.float32)) - np.float32(0.5)
        taken = cv2.remap(picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        if np.abs(ratio - 1).max() > 0.01:
            taken *= self.full(ratio.astype(np.float32))
        return taken

    def colors(self, values: np.ndarray) -> np.ndarray:
        """(h, w, C): values of the vertices (V, C), at the size that is drawn."""
        return self._drawn(values)

    def textured(self, texture: np.ndarray) -> np.ndarray:
        """(h, w, C): a texture (S, S, C) float32 on the face, at the size that is drawn."""
        atlas = self.model.atlas
        uv = interpolate(self.fragments, atlas.coordinates, atlas.triangles)[0].numpy()
        at = np.stack([uv[..., 0], 1 - uv[..., 1]], -1) * len(texture) - 0.5
        return cv2.remap(texture, at.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def similarity(before: np.ndarray, after: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(2, 3) float32: the turn, scale and shift of the picture that takes points (V, 2) nearest to others.

    Least squares (Umeyama, PAMI 1991).
    """
    a, b = before[chosen].astype(np.float64), after[chosen].astype(np.float64)
    mean_a, mean_b = a.mean(0), b.mean(0)
    a, b = (a - mean_a) @ [1, 1j], (b - mean_b) @ [1, 1j]
    turn = (np.conj(a) * b).sum() / max((np.abs(a) ** 2).sum(), 1e-12)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([matrix, (mean_b - matrix @ mean_a)[:, None]], 1).astype(np.float32)
