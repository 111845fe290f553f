"""MarioNETte: more pictures of a target help, and the landmark transformer leaves the driver's face shape behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.claims.landmarks import crossings, error, shape_error
from benchmarks.claims.likeness import Likeness
from neural_render.corpus import Faces
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import Contours, followed
from neural_render.methods.common.people import sources
from neural_render.methods.marionette.method import MarioNETte
from neural_render.methods.weights import Weights

MADE = 12  # clips that are made for the likeness


def claims(weights: Weights, unseen: Faces, clips: Sequence[Clip]) -> dict[str, float]:
    """clips: of the people of ``unseen``, in the order of `Faces.clip`, all of whose frames are in it."""
    contours, method = Contours.of(weights.header.scheme), MarioNETte()
    points = torch.from_numpy(contours.pick(unseen.landmarks))
    found: dict[str, list[float]] = {"without": [], "with": [], "without_in_place": [], "with_in_place": []}
    crossed = list(crossings(unseen))
    for driver, true, target in crossed:
        acting, own = clips[unseen.clip[driver[0]]], clips[unseen.clip[target[0]]]
        transferred = method.transferred(weights, sources(own, weights.header.size, method.pictures), acting)
        copied = torch.from_numpy(contours.pick(followed(acting)))
        for name, whole in (("without", copied), ("with", transferred)):
            made = whole[unseen.frame[driver]]
            found[name].append(shape_error(made, points[true]))
            found[f"{name}_in_place"].append(error(made, points[true]))
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    few, many = (identity(weights, count, unseen, clips, crossed[:: max(1, len(crossed) // MADE)]) for count in (1, 8))
    return {
        "marionette.landmarks_with_over_without": mean["with"] / mean["without"],
        "marionette.landmarks_with_over_without_in_place": mean["with_in_place"] / mean["without_in_place"],
        "marionette.identity": many,
        "marionette.identity_gain": many - few,
    }


def identity(weights: Weights, count: int, unseen: Faces, clips: Sequence[Clip], crossed) -> float:
    """Cosine to the target's own pictures of what is made from so many of them."""
    method, likeness, found = MarioNETte(), Likeness(unseen), []
    method.pictures = count
    for driver, true, target in crossed:
        made = np.stack(list(method.animate(weights, clips[unseen.clip[target[0]]], clips[unseen.clip[driver[0]]])))
        found.append(likeness.of_clip(made, int(unseen.person[true[0]]), int(unseen.performance[true[0]])))
    return float(np.mean(found))
