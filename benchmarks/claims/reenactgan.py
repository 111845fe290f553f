"""ReenactGAN: boundaries in the target's space know what is done more than by whom, and fit the target's face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.claims.landmarks import error, shape_error
from neural_render.corpus import Faces
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import Contours
from neural_render.methods.reenactgan.method import ReenactGAN, Transfer
from neural_render.methods.weights import Weights

TOGETHER = 64


def claims(unseen: Faces, clips: Sequence[Clip], work: Path) -> dict[str, float]:
    """Figures of the paper's claims, means over the unseen people whom the bench has adapted weights to.

    They are asked for what is in the clips that they weren't adapted with. clips: in the order of `Faces.clip`;
    everybody did the same performances. work: where the bench keeps them, a folder a person.
    """
    method, found = ReenactGAN(), []
    for path in sorted(work.glob("*/weights.safetensors")):
        weights = method.load(path)
        if not weights.header.target:
            continue  # those of many people
        own = np.unique(unseen.clip[unseen.person == unseen.people.index(weights.header.target)])
        known = {source["file"] for source in weights.header.sources}
        asked = [clip for clip in own if clips[clip].source["file"] not in known]
        found.append(of_target(weights, unseen, np.flatnonzero(np.isin(unseen.clip, asked))))
    return {f"reenactgan.{name}": float(np.mean([f[name] for f in found])) for name in found[0]}


@torch.no_grad()
def of_target(weights: Weights, unseen: Faces, asked: np.ndarray) -> dict[str, float]:
    """Where others do what the target does in the rows ``asked``: the error of their boundaries with the
    transformer over without, and what their variance is from.

    Boundaries are compared by the points that their lines go through, as the weights' aligner finds them: two thin
    lines side by side are as different as two far apart, so maps (``_of_maps``) say little of how far off a line is.
    """
    others = np.flatnonzero(unseen.person != unseen.person[asked[0]])
    true = unseen.counterpart(others, unseen.person[asked[0]])
    chosen = np.isin(true, asked)
    others, true = others[chosen], true[chosen]
    straight, made = boundaries(weights, unseen, others)
    wanted = boundaries(weights, unseen, true)[0]
    points = torch.from_numpy(Contours.of(weights.header.scheme).pick(unseen.landmarks))
    aligner = Transfer.of(weights).aligner
    without, found = (torch.cat([aligner(some) for some in maps.split(TOGETHER)]) for maps in (straight, made))
    moment = unseen.performance[others] * (unseen.frame.max() + 1) + unseen.frame[others]

    def share(codes: Tensor) -> float:
        return spread_of(codes.flatten(1).numpy(), unseen.person[others], moment)

    raw = share(points[others])
    return {
        "boundary_error": shape_error(found, points[true]) / shape_error(without, points[true]),
        "boundary_error_in_place": error(found, points[true]) / error(without, points[true]),
        "boundary_error_of_maps": float((made - wanted).abs().mean() / (straight - wanted).abs().mean()),
        "expression_over_identity": share(found) / raw,
        "expression_over_identity_of_the_encoder": share(without) / raw,
        "expression_over_identity_of_maps": share(made) / raw,
    }


def boundaries(weights: Weights, faces: Faces, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """(N, K, H, H) of rows: as the encoder finds them, and made the target's."""
    networks, found = Transfer.of(weights), []
    for some in np.array_split(rows, -(-len(rows) // TOGETHER)):
        maps = networks.encoder.boundary(faces.pictures(some))
        found.append((maps, networks.transferred(maps)))
    return torch.cat([a for a, _ in found]), torch.cat([b for _, b in found])


def spread_of(codes: np.ndarray, person: np.ndarray, moment: np.ndarray) -> float:
    """Variance of codes (N, M) between moments over that between people: of the means over people, over moments."""

    def between(labels: np.ndarray) -> float:
        means = np.stack([codes[labels == k].mean(0) for k in np.unique(labels)])
        return float(means.var(0).sum())

    return between(moment) / between(person)
