"""Face2Face as a method: the target's clip with its track, and a mixed track, become frames; no weights.

Each made frame is a frame of the clip whose head, hair and neck are moved (`layers`, `painting`), with mouth and eyes
from the frames that show them best (`retrieval`, `planning`), and the person's texture where no frame shows the skin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from facemodel.base import check_same_model
from facemodel.editing.mixing import is_mixed
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.errors import PortraitError
from neural_render.frames import FrameCursor
from neural_render.methods.base import Method, Needs
from neural_render.methods.clip import Clip
from neural_render.methods.common.order import target_frames
from neural_render.methods.face2face import layers, retrieval
from neural_render.methods.face2face.painting import Painter
from neural_render.methods.face2face.person import Person, shown
from neural_render.methods.face2face.planning import drawn, drawn_notes, plan, posed, steadied
from neural_render.methods.face2face.settings import POLICY, Policy


class Live:
    """Frame by frame; what is underneath is always one of the kept frames, the nearest in pose."""

    def __init__(self, person: Person) -> None:
        self.person, self.painter = person, Painter(person)
        self.size = (person.camera.width, person.camera.height)
        person.plate  # noqa: B018  made before the first frame is waited for, as are sources
        with torch.inference_mode():
            for kept in range(len(person.frames)):
                person.source(kept)
        self.restart()

    def restart(self) -> None:
        frames, policy = self.person.frames, self.person.policy
        worse = [math.inf, *(policy.worse for _ in policy.parts)]
        self._faders = [retrieval.Fader(frames, policy.fade, w) for w in worse]
        self._states: list[int | None] = [None] * len(self._faders)

    def __call__(self, parameters: FaceParameters, picture: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) uint8 of the target's whole frame, of at most ``Policy.live`` px."""
        person = self.person
        with torch.inference_mode():
            wanted = shown(parameters.to("cpu"), person.model)
            vertices = layers.vertices_of(person.model, wanted)
            row = FaceParameters.stack([wanted])
            *asked, face = (part(vertices[None], row) for part in [*person.descriptors, person.face])
            away = retrieval.distance(face, person.faces, person.policy)[0]
            beneath = np.r_[np.inf, away]
            base = retrieval.next_state(self._states[0], beneath, person.jumps_beneath)
            costs = person.costs(asked, [known[base - 1 : base] for known in person.shapes])
            parts = [
                retrieval.next_state(state, cost[0], jump)
                for state, cost, jump in zip(self._states[1:], costs.parts, person.jumps)
            ]
            self._states = [base, *parts]
            of_each = [beneath, *(cost[0] for cost in costs.parts)]
            shares = [fade(*state) for fade, *state in zip(self._faders, self._states, of_each)]
            inside = [float(share[0]) for share in drawn(person, costs, tuple(np.array([s]) for s in parts))]
            before = person.covered[:, person.frames[base - 1]]
            shown_parts = [[] if hidden else share for share, hidden in zip(shares[1:], before)]
            return self.painter(wanted, vertices, None, shares[0], shown_parts, list(np.array(inside) * ~before))


class Face2Face(Method):
    """See the module. ``policy`` for everything that decides."""

    name = "face2face"
    title = "Face2Face (Thies et al., CVPR 2016)"
    expression, identity = "face model's parameters", "the target's own pictures, warped"
    training = None
    target = Needs(track=True)
    driver = Needs(pictures=False, track=True)

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self._notes: list[str] = []

    def prepare(self, target: Clip, longest: float = math.inf) -> Person:
        """The target, looked at, its pictures of at most ``longest`` px. PortraitError for what can't be one."""
        self.target.check([target], "target")
        model = target.model
        for capability in ("atlas", "reflectance"):
            model.require(capability, "Face2Face")
        check_same_model("target track: fitted", target.track, model)
        if is_mixed(target.track):
            raise PortraitError(
                "target: expected the target's own track, got a mixed one; use 'portrait reenact --method face2face'"
            )
        return Person.of(target, self.policy, longest)

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
        policy = replace(self.policy, resolution=self.policy.live_resolution, cubic=False)
        return Live(Face2Face(policy).prepare(target, policy.live))

    def notes(self) -> list[str]:
        return list(self._notes)

    def _animate(self, person: Person, target: Clip, track: Track) -> Iterator[np.ndarray]:
        order = target_frames(track, len(target.track))
        wanted = shown(track.parameters.expanded().to("cpu"), person.model)
        with torch.inference_mode():
            if posed(person, wanted, order):
                wanted = steadied(wanted, track, person)
            planned = plan(person, wanted, order)
        self._notes = drawn_notes(planned)
        painter, cursor = Painter(person), FrameCursor(target.frames)
        try:
            for k, own in enumerate(order):
                picture = cursor.at(own)
                if not (track.tracked[k] and person.track.tracked[own]):
                    yield picture.copy()
                    continue
                inside = [float(share[k]) for share in planned.drawn]
                with torch.inference_mode():
                    beneath = any(state == retrieval.OWN for state, _ in planned.beneath[k])
                    mine = person.own(own, picture) if beneath else None
                    vertices = layers.vertices_of(person.model, wanted[k])
                    parts = [shares[k] for shares in planned.shares]
                    made = painter(wanted[k], vertices, mine, planned.beneath[k], parts, inside)
                yield made  # outside of the mode, which would be that of whoever takes the frame
        finally:
            cursor.close()
