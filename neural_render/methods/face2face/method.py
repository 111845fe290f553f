"""Face2Face as a method: the target's clip with its track, and a mixed track, become frames; no weights.

Each made frame is a frame of the clip whose head, hair and neck are moved (`layers`), with mouth and eyes from the
frames that show them best (`retrieval`), and the person's texture (`texture`) where no frame shows the skin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import torch

from facemodel.base import FaceModel, check_same_model
from facemodel.editing.mixing import is_mixed
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render.frames import FrameCursor
from neural_render.methods.base import Method, Needs
from neural_render.methods.clip import Clip
from neural_render.methods.deep_video_portraits.conditioning import gained
from neural_render.methods.deep_video_portraits.synthesis import target_frames
from neural_render.methods.face2face import background, layers, retrieval
from neural_render.methods.face2face.layers import Head, Marks, Patch, Source, Surface, step
from neural_render.methods.face2face.morphing import morph
from neural_render.methods.face2face.retrieval import Shares
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
    _people: dict[int, np.ndarray] = field(default_factory=dict)

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
            self._sources[kept] = self.own(int(self.frames[kept]), self.pictures[kept])
        return self._sources[kept]

    def own(self, index: int, picture: np.ndarray) -> Source:
        """Any frame's, of its number in the clip and its picture (H, W, 3) uint8."""
        return layers.source(self.model, self.parameters[index], picture, self.track.camera, self.policy)

    def who(self, source: Source) -> np.ndarray:
        """(H, W) uint8: where a source shows the person. Found once for the kept frames."""
        key = next((k for k, s in self._sources.items() if s is source), None)
        if key is None:
            return self._segmenter(source.picture)
        if key not in self._people:
            self._people[key] = self._segmenter(source.picture)
        return self._people[key]

    @cached_property
    def _segmenter(self) -> background.Segmenter:
        return background.Segmenter()

    @cached_property
    def plate(self) -> np.ndarray:
        """(H, W, 3) uint8: what is behind the person."""
        chosen = np.unique(np.linspace(0, len(self.frames) - 1, self.policy.plate).round().astype(int))
        pictures = [self.pictures[k] for k in chosen]
        margin = self.policy.halo * float(np.ptp(self.source(0).pixels[self.marks.head > 0, 1]))
        return background.plate(pictures, [self._segmenter(p) for p in pictures], margin)

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
        parts, lacking = [], []
        for part, known in zip(policy.parts, self.shapes):
            asked, beneath = (retrieval.shapes(self.model, p, part) for p in (wanted, own))
            own_cost = [retrieval.distance(asked[k : k + 1], beneath[k : k + 1], policy)[0] for k in range(len(mine))]
            others = retrieval.distance(asked, known, policy) + policy.foreign
            parts.append(np.concatenate([np.stack(own_cost), others], 1))
            openings = np.concatenate([beneath.opening[:, None], np.broadcast_to(known.opening, others.shape)], 1)
            lacking.append(asked.opening[:, None] - openings)
        base = np.concatenate([mine, turn + policy.foreign_pose], 1)
        return Costs(base, parts, lacking)


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
    base = retrieval.best_way(costs.base, person.pose_jumps())
    if np.allclose(wanted.rotation, own.rotation, atol=1e-4) and np.allclose(wanted.translation, own.translation):
        base = np.full_like(base, retrieval.OWN)  # the pose isn't taken: the clip's frames are what is asked for
    return Plan(base, ways, drawn(person, costs, ways))


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

    def __call__(
        self, wanted: FaceParameters, mine: Source, base: Shares, parts: list[Shares], drawn: list[float]
    ) -> np.ndarray:
        """(H, W, 3) uint8.

        wanted: as it is drawn, no leading dimensions. mine: what `OWN` stands for. base, parts: where the frame and
        each part are from. drawn: as in `Plan`, a part.
        """
        person, policy = self.person, self.person.policy
        camera = person.track.camera
        at = lambda state: mine if state == retrieval.OWN else person.source(state - 1)  # noqa: E731
        shares = [(at(state), share) for state, share in base]
        surface = Surface.of(person.model, wanted, camera, person.marks, policy)
        head = Head(surface, near=all(surface.in_place(source) for source, _ in shares))
        out, share = self._moved(head, shares[0][0]), shares[0][1]
        if len(shares) > 1:
            out = morph(self._moved(head, shares[1][0]), out, share)
        made = out[head.window].astype(np.float32)
        for number, part in enumerate(policy.parts):
            patch = Patch(surface, number)
            window = patch.within(head)
            around, layer, cover = made[window], 0.0, 0.0
            for state, share in parts[number]:
                if state == retrieval.OWN and not part.follows:
                    continue
                taken, alpha = patch.of_source(at(state))
                taken = harmonised(taken, around, alpha, policy)
                layer, cover = layer + share * alpha[..., None] * taken, cover + share * alpha
            if np.ndim(cover):
                around = around * (1 - cover[..., None]) + layer
            if drawn[number] > 0:
                around = opened(patch, around, drawn[number])
            made[window] = around
        out[head.window] = np.clip(made + 0.5, 0, 255).astype(np.uint8)
        return out

    def _moved(self, head: Head, source: Source) -> np.ndarray:
        """(H, W, 3) uint8: a source's frame with its person moved before what is behind them."""
        frame = source.picture.copy()
        frame[head.window] = np.clip(self._layered(head, source) + 0.5, 0, 255).astype(np.uint8)
        return frame

    def _layered(self, head: Head, source: Source) -> np.ndarray:
        """(h, w, 3) float32, 0 to 255: the head's window of that."""
        motion, ratio, missing = head.motion(source)
        still = head.surface.in_place(source)
        who = None if still else self.person.who(source)
        taken = head.sampled(source.picture if still else np.dstack([source.picture, who]), motion)
        picture = head.relit(taken[..., :3], ratio)
        if missing.max(initial=0) > 0.02:
            picture = textured(head, picture, missing, self.person.texture)
        if still:
            return picture
        alpha = taken[..., 3:] / np.float32(255)
        pictures = source.picture[head.window], who[head.window], self.person.plate[head.window]
        rest = background.behind(*pictures, self.person.policy.halo * head.surface.height)
        return rest + alpha * (picture - rest)


def textured(head: Head, picture: np.ndarray, missing: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3) with the person's texture where it's ``missing`` the skin."""
    missing, inside, skin = head.full(missing), head.full(head.head), head.textured(texture)
    skin += np.clip(layers.filled(picture - skin, (missing < 0.1) & (inside > 0.9)), -80, 80)
    return picture + (missing * inside)[..., None] * (skin - picture)


def opened(patch: Patch, made: np.ndarray, share: float) -> np.ndarray:
    """The model's own inside of the mouth over a picture (h, w, 3), darker as it lies deep."""
    surface = patch.surface
    colors = patch.model.albedo(surface.parameters.reflectance).numpy() * surface.light * surface.policy.depth
    inside = cv2.GaussianBlur(patch.full(patch.inside), (0, 0), 1.0)
    return made + share * inside[..., None] * (patch.encoded(patch.of(colors)) - made)


def harmonised(picture: np.ndarray, around: np.ndarray, alpha: np.ndarray, policy: Policy) -> np.ndarray:
    """A picture whose colours at the border of its alpha are those around it; the offset is smooth inside.

    Gradients stay as they are, as in Poisson blending (Perez et al., SIGGRAPH 2003), whose membrane this is.
    """
    ring = (alpha > 0.01) & (alpha < 0.25)
    return picture + np.clip(layers.filled(around - picture, ring), -policy.offset, policy.offset)


def drawn_notes(planned: Plan) -> list[str]:
    """Where the inside of the mouth isn't the target's own."""
    frames = np.flatnonzero(np.max(planned.drawn, axis=0) > 0.5)
    if not len(frames):
        return []
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    where = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:6])
    more = f" and {len(runs) - 6} more stretches" if len(runs) > 6 else ""
    return [
        f"the target's clip shows no mouth as open as in {len(frames)} of {len(planned.base)} frames; its inside is "
        f"drawn there, not retrieved: {where}{more}"
    ]


class Live:
    """Frame by frame; what is underneath is always one of the kept frames, the nearest in pose."""

    def __init__(self, person: Person) -> None:
        self.person, self.painter = person, Painter(person)
        self.size = (person.track.width, person.track.height)
        self._pose_jumps = person.pose_jumps()
        person.plate  # noqa: B018  made before the first frame is waited for
        self.restart()

    def restart(self) -> None:
        frames, fade = self.person.frames, self.person.policy.fade
        self._faders = [retrieval.Fader(frames, fade) for _ in range(1 + len(self.person.policy.parts))]
        self._states: list[int | None] = [None] * len(self._faders)

    def __call__(self, parameters: FaceParameters, picture: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8 of the target's whole frame."""
        person = self.person
        with torch.inference_mode():
            wanted = shown(parameters.to("cpu"), person.model)
            one = FaceParameters.stack([wanted])
            turn = np.degrees(np.linalg.norm(one.rotation.numpy() - person.turns, axis=-1))
            base = retrieval.next_state(self._states[0], np.r_[np.inf, turn], self._pose_jumps)
            mine = person.source(base - 1)
            costs = person.costs(one, FaceParameters.stack([mine.parameters]))
            parts = [
                retrieval.next_state(state, cost[0], jump)
                for state, cost, jump in zip(self._states[1:], costs.parts, person.jumps)
            ]
            self._states = [base, *parts]
            shares = [fade(state) for fade, state in zip(self._faders, self._states)]
            inside = [float(share[0]) for share in drawn(person, costs, tuple(np.array([s]) for s in parts))]
            return self.painter(wanted, mine, shares[0], shares[1:], inside)


class Face2Face(Method):
    """See the module. ``policy`` for everything that decides."""

    name = "face2face"
    title = "Face2Face (Thies et al., CVPR 2016)"
    training = None
    target = Needs(track=True)
    driver = Needs(pictures=False, track=True)

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self._notes: list[str] = []

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

    def live(self, weights: None, target: Clip, *, device: str = "cpu") -> Live:
        return Live(self.prepare(target))

    def notes(self) -> list[str]:
        return list(self._notes)

    def _animate(self, person: Person, target: Clip, track: Track) -> Iterator[np.ndarray]:
        order = target_frames(track, len(target.track))
        wanted = shown(track.parameters.expanded().to("cpu"), person.model)
        with torch.inference_mode():
            planned = plan(person, wanted, person.parameters[torch.tensor(order)])
        self._notes = drawn_notes(planned)
        fade = person.policy.fade
        base = retrieval.blended(planned.base, person.frames, fade)
        parts = [retrieval.blended(way, person.frames, fade) for way in planned.parts]
        painter, cursor = Painter(person), FrameCursor(target.frames)
        try:
            for k, own in enumerate(order):
                picture = cursor.at(own)
                if not (track.tracked[k] and person.track.tracked[own]):
                    yield picture.copy()
                    continue
                inside = [float(share[k]) for share in planned.drawn]
                with torch.inference_mode():
                    mine = person.own(own, picture)
                    yield painter(wanted[k], mine, base[k], [shares[k] for shares in parts], inside)
        finally:
            cursor.close()
