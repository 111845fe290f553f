"""Face2Face as a method: the target's clip with its track, and a mixed track, become frames; no weights.

Each made frame is a frame of the clip whose head, hair and neck are moved (`layers`), with mouth and eyes from the
frames that show them best (`retrieval`), and the person's texture (`texture`) where no frame shows the skin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch

from facemodel.base import FaceModel, check_same_model
from facemodel.editing.mixing import is_mixed
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError
from geometry.color import linear_to_srgb
from neural_render.frames import FrameCursor
from neural_render.methods.base import Method, Needs
from neural_render.methods.clip import Clip
from neural_render.methods.deep_video_portraits.conditioning import gained
from neural_render.methods.deep_video_portraits.synthesis import target_frames
from neural_render.methods.face2face import layers, retrieval
from neural_render.methods.face2face.layers import Canvas, Marks, Moved, Source, step
from neural_render.methods.face2face.settings import POLICY, Policy
from neural_render.methods.face2face.texture import person_texture


def shown(parameters: FaceParameters, model: FaceModel) -> FaceParameters:
    """Parameters as they are drawn: fits find too little of brows and lids, see `conditioning.GAINS`."""
    more = gained(parameters, model)
    return more.replace(expression=model.blocks["expression"].clamp(more.expression))


@dataclass(frozen=True)
class Costs:
    """What it costs to take things from each state: `OWN`, and N kept frames."""

    base: np.ndarray  # (T, N + 1) degrees
    parts: list[np.ndarray]  # a part (T, N + 1) mm
    lacking: list[np.ndarray]  # a part (T, N + 1) mm that it opens further than the state shows


@dataclass
class Person:
    """The target: its clip prepared."""

    model: FaceModel  # on the CPU
    track: Track
    parameters: FaceParameters  # (F,) as they are drawn
    frames: np.ndarray  # (N,) numbers of the kept frames, rising
    pictures: list[np.ndarray]  # theirs, (H, W, 3) uint8
    texture: np.ndarray  # (S, S, 3) linear RGB without light
    marks: Marks
    policy: Policy
    shapes: list[retrieval.Shapes]  # a part, of the kept frames
    jumps: list[np.ndarray]  # a part, (N + 1, N + 1)
    turns: np.ndarray  # (N, 3) radians
    _sources: dict[int, Source] = field(default_factory=dict)

    @classmethod
    def of(cls, clip: Clip, policy: Policy = POLICY) -> Person:
        """Reads the clip twice."""
        model, track = clip.model.on("cpu"), clip.track
        parameters = shown(track.parameters.expanded().to("cpu"), model)
        tracked = torch.nonzero(track.tracked).flatten()
        if not len(tracked):
            raise PortraitError(f"{clip}: expected a face in at least one frame, found none; use another clip")
        texture, _ = person_texture(model, clip, policy.texture, policy.textured)
        count = int(min(policy.kept, max(1, policy.kept_bytes // (track.width * track.height * 3))))
        first = retrieval.shapes(model, parameters[tracked], policy.parts[0])
        frames = tracked.numpy()[retrieval.clusters(first, count)]
        wanted, pictures = set(frames.tolist()), []
        for index, _time, rgb in clip.frames:
            if index in wanted:
                pictures.append(np.ascontiguousarray(rgb))
            if index == frames[-1]:
                break
        kept = parameters[torch.from_numpy(frames)]
        marks = Marks.of(model, policy.parts)
        person = cls(
            model, track, parameters, frames, pictures, texture.numpy(), marks, policy,
            [retrieval.shapes(model, kept, part) for part in policy.parts], [], kept.rotation.numpy(),
        )  # fmt: skip
        for part in policy.parts:
            looks = np.stack([person.look(k, part) for k in range(len(frames))])
            person.jumps.append(retrieval.jumps(frames, looks, policy.jump, policy.looks, policy.settled))
        return person

    def source(self, kept: int) -> Source:
        """A kept frame's."""
        if kept not in self._sources:
            p = self.parameters[int(self.frames[kept])]
            self._sources[kept] = layers.source(self.model, p, self.pictures[kept], self.track.camera, self.policy)
        return self._sources[kept]

    def look(self, kept: int, part) -> np.ndarray:
        """(P,): a small grey picture of a part of a kept frame."""
        chosen = retrieval.region(self.model, part.around)
        p = self.parameters[int(self.frames[kept])]
        points = layers.project(layers.surface_points(self.model, p), self.track.camera).numpy()
        points = points[chosen] if chosen.any() else points
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        matrix = np.array([[(x1 - x0) / 24, 0, x0], [0, (y1 - y0) / 16, y0]], np.float32)
        small = cv2.warpAffine(
            self.pictures[kept], matrix, (24, 16), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return small.mean(-1).ravel()

    def pose_jumps(self) -> np.ndarray:
        """(N + 1, N + 1) degrees: of the frames underneath."""
        between = np.full((len(self.frames) + 1,) * 2, self.policy.jump_pose)
        apart = np.abs(self.frames[:, None] - self.frames[None])
        between[1:, 1:] = np.where(apart <= 1, 0.5 * apart, self.policy.jump_pose)
        between[0, 0] = 0
        return between

    def costs(self, wanted: FaceParameters, own: FaceParameters) -> Costs:
        """Of T frames with T of the clip's own underneath."""
        policy = self.policy
        turn = np.degrees(np.linalg.norm(wanted.rotation.numpy()[:, None] - self.turns[None], axis=-1))
        mine = np.degrees(np.linalg.norm((wanted.rotation - own.rotation).numpy(), axis=-1))[:, None]
        poses = np.concatenate([mine, turn + policy.foreign_pose], 1)
        parts, lacking = [], []
        for part, known in zip(policy.parts, self.shapes):
            asked, beneath = (retrieval.shapes(self.model, p, part) for p in (wanted, own))
            own_cost = [retrieval.distance(asked[k : k + 1], beneath[k : k + 1], policy)[0] for k in range(len(mine))]
            others = retrieval.distance(asked, known, policy) + policy.foreign
            parts.append(np.concatenate([np.stack(own_cost), others], 1))
            openings = np.concatenate([beneath.opening[:, None], np.broadcast_to(known.opening, others.shape)], 1)
            lacking.append(asked.opening[:, None] - openings)
        return Costs(poses, parts, lacking)


@dataclass(frozen=True)
class Plan:
    """Which frame everything is taken from: states of `retrieval`, (T,) each."""

    base: np.ndarray
    parts: tuple[np.ndarray, ...]
    drawn: tuple[np.ndarray, ...]  # 0 to 1: how far the inside of each part is drawn, since no frame shows it


def plan(person: Person, wanted: FaceParameters, own: FaceParameters) -> Plan:
    """The best ways through the clip for T wanted frames over T of its own."""
    costs = person.costs(wanted, own)
    ways = tuple(retrieval.best_way(c, j) for c, j in zip(costs.parts, person.jumps))
    return Plan(retrieval.best_way(costs.base, person.pose_jumps()), ways, drawn(person, costs, ways))


def drawn(person: Person, costs: Costs, ways: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """See `Plan`; an eyeball moves with the model, and is never drawn."""
    return tuple(
        step(lack[np.arange(len(way)), way], *person.policy.drawn) * (not part.follows)
        for part, lack, way in zip(person.policy.parts, costs.lacking, ways)
    )


class Painter:
    """Makes one frame after the other."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.restart()

    def restart(self) -> None:
        self.base = retrieval.Fader(self.person.frames, self.person.policy.fade)
        self.parts = [retrieval.Fader(self.person.frames, self.person.policy.fade) for _ in self.person.policy.parts]

    def __call__(
        self, wanted: FaceParameters, own: int, picture: np.ndarray, base: int, parts: list[int],
        drawn: list[float],
    ) -> np.ndarray:  # fmt: skip
        """(H, W, 3) uint8.

        wanted: as it is drawn, no leading dimensions. own: the clip's frame underneath, whose
        picture is ``picture``. base, parts, drawn: as in `Plan`, of one frame.
        """
        person, policy = self.person, self.person.policy
        mine = layers.source(person.model, person.parameters[own], picture, person.track.camera, policy)
        shares = [(mine if s == retrieval.OWN else person.source(s - 1), w) for s, w in self.base(base)]
        still = all(np.allclose(wanted.rotation, s.parameters.rotation, atol=1e-4) for s, _ in shares)
        still &= all(np.allclose(wanted.translation, s.parameters.translation, atol=0.05) for s, _ in shares)
        canvas = Canvas(person.model, wanted, person.track.camera, person.marks, policy, near=still)
        out = shares[0][0].picture.copy() if len(shares) == 1 else blended([(s.picture, w) for s, w in shares])
        made = sum(w * self._face(canvas, canvas.whole(s), s) for s, w in shares)
        for number, part in enumerate(policy.parts):
            layer, cover = 0.0, 0.0
            for state, weight in self.parts[number](parts[number]):
                if state == retrieval.OWN:
                    continue
                taken, alpha = canvas.part(person.source(state - 1), number, part)
                colors = harmonised(taken, made, alpha, policy)
                layer, cover = layer + weight * alpha[..., None] * colors, cover + weight * alpha
            if np.ndim(cover):
                made = made * (1 - cover[..., None]) + layer
            if drawn[number] > 0:
                made = self._opened(canvas, made, drawn[number])
        out[canvas.window] = np.clip(made + 0.5, 0, 255).astype(np.uint8)
        return out

    def _face(self, canvas: Canvas, moved: Moved, source: Source) -> np.ndarray:
        """The moved frame, with the person's texture where it doesn't show the skin."""
        missing = 1 - moved.seen
        if missing.max() < 0.02:
            return moved.picture
        skin = self.rendered(canvas)
        head = canvas.full(canvas.head.astype(np.float32))
        weight, known = missing * head, (moved.seen > 0.9) * head
        skin = skin + np.clip(layers.filled(moved.picture - skin, known), -80, 80)
        return moved.picture + weight[..., None] * (skin - moved.picture)

    def _opened(self, canvas: Canvas, made: np.ndarray, share: float) -> np.ndarray:
        """The model's own inside of the mouth over the picture, darker as it lies deep."""
        model = self.person.model
        colors = model.albedo(canvas.wanted.reflectance).numpy() * canvas.light * self.person.policy.depth
        lit = encoded(canvas, canvas.colors(colors))
        inside = cv2.GaussianBlur(canvas.full(canvas.inside.astype(np.float32)), (0, 0), 1.0)
        return made + share * inside[..., None] * (lit - made)

    def rendered(self, canvas: Canvas) -> np.ndarray:
        """(h, w, 3) float32, 0 to 255: the texture under the wanted light, over the canvas's window."""
        return encoded(canvas, canvas.textured(self.person.texture) * canvas.colors(canvas.light))


def encoded(canvas: Canvas, radiance: np.ndarray) -> np.ndarray:
    """(h, w, 3) 0 to 255 over the canvas's window, of linear RGB as large as it is drawn."""
    return canvas.full(255 * linear_to_srgb(torch.from_numpy(np.clip(radiance, 0, 1))).numpy())


def harmonised(picture: np.ndarray, around: np.ndarray, alpha: np.ndarray, policy: Policy) -> np.ndarray:
    """A picture whose colours at the border of its alpha are those around it; the offset is smooth inside.

    Gradients stay as they are, as in Poisson blending (Perez et al., SIGGRAPH 2003), whose membrane this is.
    """
    ring = ((alpha > 0.02) & (alpha < 0.7)).astype(np.float32)
    return picture + np.clip(layers.filled(around - picture, ring), -policy.offset, policy.offset)


def blended(pictures: list[tuple[np.ndarray, float]]) -> np.ndarray:
    return np.clip(sum(w * p.astype(np.float32) for p, w in pictures) + 0.5, 0, 255).astype(np.uint8)


class Face2Face(Method):
    """See the module. ``policy`` for everything that decides."""

    name = "face2face"
    title = "Face2Face (Thies et al., CVPR 2016)"
    training = None
    target = Needs(track=True)
    driver = Needs(pictures=False, track=True)

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy

    def prepare(self, target: Clip) -> Person:
        """The target, looked at. PortraitError for what can't be one."""
        self.target.check([target], "target")
        model = target.model
        for capability in ("atlas", "reflectance"):
            model.require(capability, "Face2Face")
        check_same_model("target track: fitted", target.track, model)
        if is_mixed(target.track):
            raise PortraitError(
                "target: expected the target's own track, got a mixed one; use 'portrait reenact --method face2face'"
            )
        return Person.of(target, self.policy)

    def animate(self, weights: None, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        self.driver.check([driver], "driver")
        person = self.prepare(target)
        check_same_model("driver track: made", driver.track, target.model)
        if (driver.track.width, driver.track.height) != (target.track.width, target.track.height):
            raise PortraitError(
                f"driver track: expected frames of {target.track.width} x {target.track.height} as the target's, "
                f"got {driver.track.width} x {driver.track.height}; mix it with the target's track"
            )
        return self._animate(person, target, driver.track)

    def _animate(self, person: Person, target: Clip, track: Track) -> Iterator[np.ndarray]:
        order = target_frames(track, len(target.track))
        wanted = shown(track.parameters.expanded().to("cpu"), person.model)
        with torch.inference_mode():
            planned = plan(person, wanted, person.parameters[torch.tensor(order)])
        painter, cursor = Painter(person), FrameCursor(target.frames)
        try:
            for k, own in enumerate(order):
                picture = cursor.at(own)
                if not (track.tracked[k] and person.track.tracked[own]):
                    yield picture.copy()
                    continue
                with torch.inference_mode():
                    states = [int(way[k]) for way in planned.parts]
                    inside = [float(share[k]) for share in planned.drawn]
                    yield painter(wanted[k], own, picture, int(planned.base[k]), states, inside)
        finally:
            cursor.close()
