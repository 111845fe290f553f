"""Frames of the clip, moved: where each pixel of the wanted face, and of what is around it, is in another frame.

A `Source` is a frame with its fitted surface, a `Surface` the wanted one. A `Canvas` is a window of the frame that this
is drawn in: `Head` and `Patch` say for any source where their pixels come from. Pixels of the frame
throughout; x right, y down.
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
from geometry.color import linear_to_srgb
from geometry.mesh import vertex_normals
from neural_render.methods.face2face.outlines import Outlines, similarity
from neural_render.methods.face2face.retrieval import region
from neural_render.methods.face2face.settings import INSIDE, Part, Policy
from neural_render.uv_gan.filling import smooth_fill
from renderer import Camera, interpolate, project, rasterize, rotation_matrix, sh_basis, to_camera

COARSE = 6
"""Fields are filled and blurred at this fraction of their size."""


@dataclass(frozen=True)
class Source:
    """A frame with its fitted surface."""

    picture: np.ndarray  # (H, W, 3) uint8
    parameters: FaceParameters  # as they are drawn, no leading dimensions
    vertices: Tensor  # (V, 3) mm, model frame
    pixels: np.ndarray  # (V, 2) px
    light: np.ndarray  # (V, 3) linear RGB
    facing: np.ndarray  # (V,) cosine between normal and line of sight; 0 where hidden


@dataclass(frozen=True)
class Marks:
    """What depends on the model alone: numbers of its vertices."""

    head: np.ndarray  # (V,) 1 on what moves as the head does, 0 on the neck
    inside: np.ndarray  # (V,) bool, the inside of the mouth
    brows: np.ndarray  # (V,) bool
    inner: tuple[np.ndarray, ...]  # a part (V,) bool: what only shows when it's open
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
        inner = tuple(region(model, part.inside) for part in parts)
        return cls(head, region(model, INSIDE), region(model, ("brows",)), inner, tuple(weights))


@dataclass(frozen=True)
class Surface:
    """The wanted face, before the camera."""

    model: FaceModel
    parameters: FaceParameters  # as they are drawn, no leading dimensions
    camera: Camera
    marks: Marks
    policy: Policy
    points: Tensor  # (V, 3) mm, camera frame
    pixels: np.ndarray  # (V, 2) px
    light: np.ndarray  # (V, 3) linear RGB
    front: np.ndarray  # (V,) cosine between normal and line of sight, at least 0
    height: float  # px of the head

    @classmethod
    def of(
        cls,
        model: FaceModel,
        parameters: FaceParameters,
        vertices: Tensor,
        camera: Camera,
        marks: Marks,
        policy: Policy,
    ) -> Surface:
        """vertices: (V, 3) mm, model frame, of the parameters."""
        points = to_camera(vertices, parameters.rotation, parameters.translation)
        light, normals = shading(model, parameters, points)
        pixels, front = project(points, camera).numpy(), facing(points, normals).clamp_min(0).numpy()
        rows = pixels[marks.head > 0, 1]
        return cls(model, parameters, camera, marks, policy, points, pixels, light, front, float(np.ptp(rows)))

    def in_place(self, source: Source) -> bool:
        """Whether the head is where the source has it."""
        return all(
            np.allclose(getattr(self.parameters, name), getattr(source.parameters, name), atol=tolerance)
            for name, tolerance in (("rotation", 1e-4), ("translation", 0.05))
        )

    def turned(self, source: Source) -> np.ndarray:
        """(V, 2) px: the source's expression at the place where the head is wanted."""
        p = self.parameters
        return project(to_camera(source.vertices, p.rotation, p.translation), self.camera).numpy()

    def angle(self, source: Source) -> float:
        """Radians between where the head looks and where the source's does; a roll shows no other side of it."""
        ahead = [rotation_matrix(p.rotation)[:, 2] for p in (self.parameters, source.parameters)]
        return float(torch.arccos((ahead[0] @ ahead[1]).clamp(-1, 1)))

    def up(self) -> np.ndarray:
        """(2,) of length one: where the head's own axis points in the picture."""
        axis = rotation_matrix(self.parameters.rotation)[:2, 1].numpy() * FLIP[:2]
        return (axis / max(float(np.linalg.norm(axis)), 1e-6)).astype(np.float32)

    def ratio(self, source: Source) -> np.ndarray:
        """(V, 3): what takes the source's pixels to the wanted light, as they are encoded (gamma 2.2).

        The light of the whole head may be any other, as a clip's changes; within it normals are trusted less.
        """
        ratio = self.light / source.light
        whole = np.median(ratio[self.marks.head > 0.5], axis=0)
        return (whole * np.clip(ratio / whole, *self.policy.relit)) ** np.float32(1 / 2.2)


def vertices_of(model: FaceModel, p: FaceParameters) -> Tensor:
    """(..., V, 3) mm, model frame."""
    return model.vertices(p.identity, p.expression, p.gaze, p.joints if p.joints.shape[-1] else None)


def step(x, low: float, high: float):
    """0 up to ``low``, 1 from ``high`` on, smooth between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
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
    vertices = vertices_of(model, p)
    points = to_camera(vertices, p.rotation, p.translation)
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
    hidden = (nearest >= 0) & (points[:, 2] > nearest + policy.deep)
    cosine = facing(points, normals).clamp_min(0)
    cosine[hidden] = 0
    inside = (pixels >= 0).all(-1) & (pixels < pixels.new_tensor([camera.width, camera.height])).all(-1)
    return Source(picture, p, vertices, pixels.numpy(), light, (cosine * inside).numpy())


def filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(H, W, C): values (H, W, C) float32 where ``known`` (H, W) is, and smoothly beyond; coarse everywhere."""
    height, width = known.shape
    small = (max(2, width // COARSE), max(2, height // COARSE))
    weight = known.astype(np.float32)
    total = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    summed = values * weight[..., None]
    thirds = [
        cv2.resize(summed[..., k : k + 3], small, interpolation=cv2.INTER_AREA) for k in range(0, summed.shape[-1], 3)
    ]
    summed = np.concatenate([t.reshape(*total.shape, -1) for t in thirds], -1)  # OpenCV averages up to four channels
    if not (total > 1e-4).any():
        return np.zeros_like(values)
    mean = torch.from_numpy(summed / np.maximum(total, 1e-4)[..., None])
    spread = smooth_fill(mean, torch.from_numpy((total > 1e-2).astype(np.float32))).numpy()
    return cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)


class Canvas:
    """A window of the frame with the wanted surface in it."""

    def __init__(self, surface: Surface, low: np.ndarray, high: np.ndarray, resolution: int) -> None:
        """low, high: (2,) px, the corners; cut off at the frame's edge. resolution: px of the longer side, drawn."""
        self.surface, self.model, self.policy = surface, surface.model, surface.policy
        limit = np.array([surface.camera.width, surface.camera.height])
        low = np.clip(low, 0, limit - 2).astype(int)
        high = np.clip(high + 1, low + 2, limit).astype(int)
        (self.x0, self.y0), self.size = low.tolist(), tuple((high - low).tolist())  # width, height, px
        self.scale = min(1.0, resolution / max(self.size))
        self.drawn = tuple(max(2, round(s * self.scale)) for s in self.size)
        window = surface.camera.cropped(self.x0, self.y0, *self.size).resized(*self.drawn)
        self.fragments = rasterize(surface.points[None], self.model.triangles, window)
        self.mesh = self.fragments.mask[0].numpy()
        y, x = np.mgrid[: self.drawn[1], : self.drawn[0]].astype(np.float32)
        ratio = np.array(self.size, np.float32) / np.array(self.drawn, np.float32)
        self.place = np.stack([x + 0.5, y + 0.5], -1) * ratio + np.array([self.x0, self.y0], np.float32)  # px

    def around(self, where: np.ndarray, margin: float) -> tuple[slice, slice]:
        """Rows and columns of the window that hold all of ``where`` (h, w) bool, and ``margin`` px beside it."""
        edges = []
        for axis, size in ((1, self.size[1]), (0, self.size[0])):
            found = np.flatnonzero(where.any(axis))
            edges.append(slice(max(int(found[0] - margin), 0), min(int(found[-1] + margin) + 1, size)))
        return edges[0], edges[1]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        return slice(self.y0, self.y0 + self.size[1]), slice(self.x0, self.x0 + self.size[0])

    def within(self, other: Canvas) -> tuple[slice, slice]:
        """Rows and columns of another canvas that holds this one."""
        y, x = self.y0 - other.y0, self.x0 - other.x0
        return slice(y, y + self.size[1]), slice(x, x + self.size[0])

    def of(self, values: np.ndarray) -> np.ndarray:
        """(h, w, C) of the vertices' (V, C), at the size that is drawn."""
        values = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        return interpolate(self.fragments, values, self.model.triangles)[0].numpy()

    def textured(self, texture: np.ndarray) -> np.ndarray:
        """(h, w, 3) float32, 0 to 255, over the window: a texture (S, S, 3) of linear RGB under the wanted light."""
        atlas = self.model.atlas
        uv = interpolate(self.fragments, atlas.coordinates, atlas.triangles)[0].numpy()
        at = np.stack([uv[..., 0], 1 - uv[..., 1]], -1) * len(texture) - 0.5
        skin = cv2.remap(texture, at.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return self.encoded(skin * self.of(self.surface.light))

    def encoded(self, radiance: np.ndarray) -> np.ndarray:
        """(h, w, 3) 0 to 255 over the window, of linear RGB at the size that is drawn."""
        return self.full(255 * linear_to_srgb(torch.from_numpy(np.clip(radiance, 0, 1))).numpy())

    def full(self, field: np.ndarray) -> np.ndarray:
        """A field at the window's own size, float32."""
        field = field.astype(np.float32, copy=False)
        if field.shape[:2] == self.size[::-1]:
            return field
        return cv2.resize(field, self.size, interpolation=cv2.INTER_LINEAR)

    def sampled(self, picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """(h, w, C): a frame's picture at the window's places plus ``motion`` (h', w', 2) px."""
        at = self.full(self.place + motion - np.float32(0.5))
        how = cv2.INTER_CUBIC if self.policy.cubic else cv2.INTER_LINEAR
        return cv2.remap(picture, at, None, how, borderMode=cv2.BORDER_REPLICATE)

    def soft(self, ratio: np.ndarray) -> np.ndarray:
        """A ratio of lights without the creases of the mesh, at which normals are not those of skin."""
        return cv2.GaussianBlur(ratio, (0, 0), max(0.5, self.policy.soft_light * self.surface.height * self.scale))

    def relit(self, taken: np.ndarray, ratio: np.ndarray) -> np.ndarray:
        """Pixels (h, w, 3) times a ratio at the size that is drawn, float32."""
        return taken.astype(np.float32) * self.full(ratio)


class Head(Canvas):
    """The head and what is around it.

    near: whether nothing but the expression moves, so that less of the surroundings has to be looked at.
    """

    def __init__(self, surface: Surface, near: bool) -> None:
        pixels, marks = surface.pixels[surface.marks.head > 0], surface.marks
        margin = (0.15 if near else surface.policy.hair + surface.policy.fading) * surface.height
        super().__init__(surface, pixels.min(0) - margin, pixels.max(0) + margin, surface.policy.resolution)
        fields = self.of(np.stack([marks.head, marks.inside, surface.front], 1))
        self.head, self.inside = self.mesh & (fields[..., 0] > 0.5), fields[..., 1] > 0.5
        self.front = fields[..., 2]
        self.away = self._distance(~self.head)  # px from the head

    def _distance(self, where: np.ndarray) -> np.ndarray:
        return cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 3) / np.float32(self.scale)

    def _from_edges(self) -> np.ndarray:
        """(h, w) px to the window's nearest edge. The frame's own count at the bottom alone, where bodies go on."""
        width, height = self.drawn
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        x = np.minimum(
            x if self.x0 > 0 else np.inf, x[::-1] if self.x0 + self.size[0] < self.surface.camera.width else np.inf
        )
        y = np.minimum(y if self.y0 > 0 else np.inf, y[::-1])
        return np.minimum(np.broadcast_to(x, (width,)), np.broadcast_to(y, (height,))[:, None]) / np.float32(self.scale)

    def motion(self, source: Source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From the wanted picture to the source's, with what is beside the head moved along until it rests.

        Returns (h, w, 2) px, (h, w, 3) the ratio of the lights, and (h, w) 0 to 1, what of it the source doesn't show.
        """
        surface, policy, height = self.surface, self.policy, self.surface.height
        turned = not surface.in_place(source)
        between = surface.turned(source) if turned else source.pixels
        parts = [between - surface.pixels, surface.ratio(source)]
        parts += [source.facing[:, None], source.pixels - between] if turned else []
        fields = self.of(np.concatenate(parts, 1))
        known = self.head & ~self.inside
        near = np.where(known[..., None], fields[..., :5], filled(fields[..., :5], known))
        expression, ratio = near[..., :2], self.soft(near[..., 2:])
        reach = policy.steepest * float(np.abs(expression[known]).max(initial=0))
        expression = expression * (1 - step(self.away, 0, max(policy.fading_expression * height, reach)))[..., None]
        ratio = 1 + (ratio - 1) * (1 - step(self.away, 0, policy.fading_light * height))[..., None]
        if not turned:
            return expression, ratio, np.zeros(self.head.shape, np.float32)
        far = float(step(surface.angle(source), *policy.far))
        beside = self._beside(between, source.pixels, far)
        rim = self.within(policy.rim + far * (policy.bent - policy.rim))
        reach = max(policy.fading * height, policy.steepest * float(np.abs(beside[self.head]).max(initial=0)))
        hair = policy.hair * height * self._above_chin()
        rest = 1 - step(self.away - hair, 0, reach)
        rest *= np.maximum(
            step(self._from_edges(), 0, policy.edge * height), 1 - step(self.away, 0, policy.edge * height)
        )
        motion = expression + rest[..., None] * (rim * fields[..., 6:8] + (1 - rim) * beside)
        missing = self.within(policy.rim)[..., 0] * hidden(fields[..., 5], self.front, policy) * ~self.inside
        return motion, ratio, self._without_specks(missing)

    def _beside(self, before: np.ndarray, after: np.ndarray, far: float) -> np.ndarray:
        """(h, w, 2) px by which what is beside a head moves with its vertices (V, 2), of which it turns ``far``.

        Turned little, it moves as they do on the whole: a fit tells a turn from a shift only so well, and both together
        leave it where it is. Turned far, it moves as the outline does, which passes over the skin.
        """
        chosen = self.surface.marks.head > 0.5
        similar = similarity(before, after, chosen)
        near = self.place @ similar[:, :2].T + similar[:, 2] - self.place
        if far == 0:
            return near
        outlines = Outlines.of(before[chosen], after[chosen], float(np.arctan2(similar[1, 0], similar[0, 0])))
        return near + np.float32(far) * (outlines.motion(self.place) - near)

    def within(self, rim: float) -> np.ndarray:
        """(h, w, 1) 0 to 1: from the head's outline inwards, over a share of its height."""
        return step(self._distance(self.head), 0, rim * self.surface.height)[..., None]

    def _above_chin(self) -> np.ndarray:
        """(h, w) 0 to 1: whether a place is beside the head, where hair goes along, or below it, where the body is."""
        up = self.surface.up()
        heights = self.surface.pixels[self.surface.marks.head > 0.5] @ up
        chin, tall = heights.min(), np.ptp(heights)
        return step((self.place @ up - chin) / tall, *self.policy.beside)

    def _without_specks(self, missing: np.ndarray) -> np.ndarray:
        """(h, w) 0 to 1: what is missing (h, w), without small holes, softly."""
        radius = max(1, round(self.policy.hole * self.surface.height * self.scale))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        opened = cv2.dilate(cv2.erode(missing.astype(np.float32), disc), disc)
        return cv2.GaussianBlur(opened, (0, 0), radius)


class Patch(Canvas):
    """One part of the face. number: of it in ``policy.parts``."""

    def __init__(self, surface: Surface, number: int) -> None:
        self.part, marks = surface.policy.parts[number], surface.marks
        pixels = surface.pixels[marks.parts[number] > 0]
        super().__init__(surface, pixels.min(0), pixels.max(0), surface.policy.resolution)
        shown = [marks.parts[number], marks.inside, surface.front, marks.inner[number], marks.brows]
        fields = self.of(np.stack(shown, 1))
        self.alpha, self.inside = fields[..., 0], fields[..., 1] > 0.5
        self.front, self.inner, self.brows = fields[..., 2], fields[..., 3] > 0.1, fields[..., 4] > 0.1

    def of_source(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        """What a source shows of it, relit: (h, w, 3) float32, 0 to 255, and (h, w) 0 to 1, how far it covers."""
        surface, part = self.surface, self.part
        fields = self.of(
            np.concatenate([source.pixels - surface.pixels, surface.ratio(source), source.facing[:, None]], 1)
        )
        known = self.mesh & (self.alpha > 0) & ~self.inside
        known &= fields[..., 5] > 0.05  # an eyeball behind a lid, a lip turned away go with what is seen beside them
        near = np.where(known[..., None], fields[..., :5], filled(fields[..., :5], known))
        taken = self.relit(self.sampled(source.picture, near[..., :2]), self.soft(near[..., 2:]))
        if not part.follows:
            return taken, self.full(self.alpha)  # drawn out it may be, but of the right shape: beneath is another mouth
        cover = self.alpha * np.where(known, 1 - hidden(fields[..., 5], self.front, self.policy), 1)
        folded = self._folded(near[..., :2])
        if folded.sum() > 0.02 * folded.size:
            skin = self.mesh & ~self.inner & ~self.brows  # a lid isn't dark with the hair above it
            around = self.full(skin & (folded < 0.02)) > 0.9
            smooth = self.policy.smoothed * self.full(folded)[..., None]
            taken = taken + smooth * (filled(taken, around) - taken)
        return taken, self.full(np.maximum(cover, folded))

    def _folded(self, motion: np.ndarray) -> np.ndarray:
        """(h, w) 0 to 1: where skin was folded in the source, as lids are in an eye that is open.

        There a line of few pixels, dark with lashes, would be drawn out to a whole lid.
        """
        place = self.place + motion
        down, right = (np.gradient(place, axis=axis) * np.float32(self.scale) for axis in (0, 1))
        area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])  # in the source, of a pixel here
        folded = (self.mesh & ~self.inner) * self.alpha * (1 - step(area, *self.policy.folded))
        folded = cv2.dilate(folded.astype(np.float32), np.ones((3, 3), np.uint8))
        return cv2.GaussianBlur(folded, (0, 0), max(0.5, self.policy.lashes * self.surface.height * self.scale))


def hidden(facing: np.ndarray, front: np.ndarray, policy: Policy) -> np.ndarray:
    """0 to 1: how far a source, which sees things at the cosine ``facing``, misses what is now seen at ``front``."""
    return 1 - step(facing / np.maximum(front, 0.05), *policy.hidden)
