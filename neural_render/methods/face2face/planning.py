"""Which frame of the clip everything is taken from, and where none has what is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facemodel.parameters import FaceParameters
from neural_render.methods.face2face import retrieval
from neural_render.methods.face2face.layers import step
from neural_render.methods.face2face.person import Costs, Person


@dataclass(frozen=True)
class Plan:
    """Which frame everything is taken from: states of `retrieval`, (T,) each."""

    base: np.ndarray
    parts: tuple[np.ndarray, ...]
    drawn: tuple[np.ndarray, ...]  # 0 to 1: how far the inside of each part is drawn, since no frame shows it


def plan(person: Person, wanted: FaceParameters, own: FaceParameters) -> Plan:
    """The best ways through the clip for T wanted frames over T of its own."""
    costs = person.costs(*(retrieval.shapes(person.model, p, person.descriptors) for p in (wanted, own)))
    ways = tuple(retrieval.best_way(c, j) for c, j in zip(costs.parts, person.jumps))
    turned = person.turned(wanted.rotation.numpy(), own.rotation.numpy())
    base = retrieval.best_way(turned, person.pose_jumps())
    if np.allclose(wanted.rotation, own.rotation, atol=1e-4) and np.allclose(wanted.translation, own.translation):
        base = np.full_like(base, retrieval.OWN)  # the pose isn't taken: the clip's frames are what is asked for
    return Plan(base, ways, drawn(person, costs, ways))


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
