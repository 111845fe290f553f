"""Which frame of the clip everything is taken from, and where none has what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facemodel.editing.smoothing import smooth_parameters
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from neural_render.methods.face2face import retrieval
from neural_render.methods.face2face.layers import step
from neural_render.methods.face2face.person import Costs, Person
from neural_render.methods.face2face.retrieval import Shares


@dataclass(frozen=True)
class Plan:
    """Which frame everything is taken from: states of `retrieval`, (T,) each."""

    base: np.ndarray
    parts: tuple[np.ndarray, ...]
    beneath: list[Shares]  # what is shown underneath, a frame
    shares: tuple[list[Shares], ...]  # and of the parts; nothing of those that are covered
    drawn: tuple[np.ndarray, ...]  # 0 to 1: how far the inside of each part is drawn, since no frame shows it
    covered: np.ndarray  # (P, T) bool: parts that something is before in the frame underneath, which stays before them


def plan(person: Person, wanted: FaceParameters, order: Sequence[int]) -> Plan:
    """The best ways through the clip for T wanted frames, over the clip's in that order.

    What is under the parts, their `OWN`, is the frame that the base says.
    """
    model, policy = person.model, person.policy
    *asked, face = retrieval.shapes(model, wanted, [*person.descriptors, person.face])

    def blended(way: np.ndarray, costs: np.ndarray, worse: float) -> list[Shares]:
        return retrieval.blended(way, person.frames, policy.fade, costs, worse)

    base, beneath = np.full(len(order), retrieval.OWN), [[(retrieval.OWN, 1.0)] for _ in order]
    if posed(person, wanted, order):
        own = retrieval.shapes(model, person.parameters[torch.tensor(order)], [person.face])[0]
        kept = retrieval.distance(face, person.faces, policy)
        kept += policy.covered * person.covered.any(0)[person.frames]
        kept[person.shots[order][:, None] != person.shots[person.frames]] = np.inf  # other places, other people
        costs = np.concatenate([retrieval.apart(face, own, policy)[:, None], kept], 1)
        base = retrieval.best_way(costs, person.jumps_beneath)
        beneath = blended(base, costs, np.inf)  # moved from one to the other, not faded: `morphing`
    under = np.where(base == retrieval.OWN, order, person.frames[base - 1])
    own = retrieval.shapes(model, person.parameters[torch.from_numpy(under)], person.descriptors)
    costs, covered = person.costs(asked, own), person.covered[:, under]
    ways = tuple(retrieval.best_way(c, j) for c, j in zip(costs.parts, person.jumps))
    inside = tuple(share * ~hidden for share, hidden in zip(drawn(person, costs, ways), covered))
    shares = tuple(
        [[] if hidden else states for states, hidden in zip(blended(way, c, policy.worse), before)]
        for way, c, before in zip(ways, costs.parts, covered)
    )
    return Plan(base, ways, beneath, shares, inside, covered)


def steadied(wanted: FaceParameters, track: Track, person: Person) -> FaceParameters:
    """Poses without the fit's jitter, which shows as a head that trembles before its surroundings."""
    smooth = smooth_parameters(wanted, person.model, track.status, track.fps, person.policy.steady)
    return wanted.replace(rotation=smooth.rotation, translation=smooth.translation)


def posed(person: Person, wanted: FaceParameters, order: Sequence[int]) -> bool:
    """Whether the pose is taken: else the clip's frames are what is asked for."""
    own = person.parameters[torch.tensor(order)]
    return not (
        np.allclose(wanted.rotation, own.rotation, atol=1e-4) and np.allclose(wanted.translation, own.translation)
    )


def drawn(person: Person, costs: Costs, ways: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """See `Plan`; an eyeball moves with the model, and is never drawn."""
    return tuple(
        step(lack[np.arange(len(way)), way], *person.policy.drawn) * (not part.follows)
        for part, lack, way in zip(person.policy.parts, costs.lacking, ways)
    )


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
