"""The first steps of registration: the default model moved, sized and shaped until it is near another model's mean.

A similarity from landmarks, or from the nose where there are none; then identity and expression by least squares on
nearest points and landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.surface import Surface, vertex_normals
from facemodel.landmark_schemes import SCHEMES

TOGETHER = 50
"""Landmarks from which on more of them weigh no more."""


@dataclass(frozen=True)
class Guides:
    """L landmarks that both models have."""

    source: sparse.csr_matrix  # (L, V0): from the default model's vertices
    target: np.ndarray  # (L, 3) mm, on the other model's mean
    weights: np.ndarray  # (L,)

    def __len__(self) -> int:
        return len(self.weights)


def find_guides(default: FaceModel, landmarks: Mapping[str, tuple[Tensor, Tensor]], least: float = 0.2) -> Guides:
    """Landmarks of the scheme of which most are tied to both surfaces; none where there is no such scheme.

    landmarks: by scheme, points (L, 3) mm on the other model's mean and how well each is tied to it (L,).
    """
    best: tuple[str, np.ndarray] | None = None
    for name, (_, weights) in landmarks.items():
        if name not in default.embeddings:
            continue
        sliding = {*SCHEMES[name].outline, *(k for side in SCHEMES[name].irises for k in side)}
        tied = np.minimum(weights.numpy(), default.embeddings[name].weights.numpy()) > least
        tied[list(sliding)] = False
        if best is None or tied.sum() > len(best[1]):
            best = name, np.flatnonzero(tied)
    count = len(default.mean)
    if best is None or len(best[1]) < 4:
        return Guides(sparse.csr_matrix((0, count)), np.zeros((0, 3)), np.zeros(0))
    name, chosen = best
    ours, places = default.embeddings[name], landmarks[name][0]
    corners = default.triangles[ours.triangles[chosen]].numpy()
    rows = np.repeat(np.arange(len(chosen)), 3)
    weights = ours.barycentric[chosen].double().numpy().ravel()
    source = sparse.csr_matrix((weights, (rows, corners.ravel())), (len(chosen), count))
    return Guides(source, places[chosen].double().numpy(), np.full(len(chosen), TOGETHER / max(len(chosen), TOGETHER)))


def landmarks_of(model: FaceModel) -> dict[str, tuple[Tensor, Tensor]]:
    """A model's own landmarks, as `find_guides` takes them."""
    return {name: (model.landmarks(model.mean, name), e.weights) for name, e in model.embeddings.items()}


def similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (3, 3) and translation (3,) that take (N, 3) nearest to (N, 3). Umeyama (PAMI 1991)."""
    share = np.full((len(source), 1), 1 / len(source)) if weights is None else weights[:, None] / weights.sum()
    a, b = (share * source).sum(0), (share * target).sum(0)
    u, d, v = np.linalg.svd((share * (target - b)).T @ (source - a))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    rotation = u @ sign @ v
    scale = float((d * np.diag(sign)).sum() / (share * (source - a) ** 2).sum())
    return scale, rotation, b - scale * rotation @ a


def nose_tip(vertices: np.ndarray) -> np.ndarray:
    """(3,) of a face that looks along z: what is foremost near its middle."""
    middle = np.abs(vertices[:, 0] - (vertices[:, 0].min() + vertices[:, 0].max()) / 2) < 15
    return vertices[middle][vertices[middle, 2].argmax()]


def shape_default(
    default: FaceModel, guides: Guides, surface: Surface, matched: np.ndarray, rounds: int = 12
) -> np.ndarray:
    """(V0, 3): the default model near the other surface. ``matched``: its vertices that look for nearest points."""
    mean = default.mean.double().numpy()
    bases = [default.identity_basis.double().numpy(), default.expression_basis.double().numpy()]
    # What a millimetre of distance is to a standard deviation of identity, and to an expression.
    stiff = np.concatenate([np.full(len(bases[0]), 1.0), np.full(len(bases[1]), 3.0)])
    basis = np.concatenate(bases)
    chosen = np.flatnonzero(matched)
    triangles = default.triangles.numpy()
    shaped = mean
    if len(guides):
        scale, rotation, shift = similarity(guides.source @ mean, guides.target)
    else:
        tip = nose_tip(surface.vertices[np.unique(surface.triangles[surface.used])])
        scale, rotation, shift = 1.0, np.eye(3), tip - nose_tip(mean[chosen])
    coefficients = np.zeros(len(basis))
    for k in range(rounds):
        placed = scale * shaped @ rotation.T + shift
        found = surface.nearest(placed[chosen], vertex_normals(placed, triangles)[chosen])
        reach = np.interp(k, [0, rounds - 1], [25.0, 8.0])
        good = (found.agreement > 0.5) & (found.distance < reach)
        targets = found.positions[good]
        # Landmarks lead while the surface is far, and then less.
        lead = np.interp(k, [0, rounds - 1], [10.0, 2.0])
        pairs = [(placed[chosen][good], targets, np.full(good.sum(), 1.0))]
        if len(guides):
            pairs.append((guides.source @ placed, guides.target, lead * guides.weights))
        weights = np.concatenate([w for _, _, w in pairs])
        moved = similarity(*(np.concatenate([pair[side] for pair in pairs]) for side in (0, 1)), weights)
        scale, rotation, shift = scale * moved[0], moved[1] @ rotation, moved[0] * moved[1] @ shift + moved[2]
        if k < 2:
            continue
        # In the default model's own frame: along the normals of the surface, and the landmarks in full.
        normals = found.normals[good] @ rotation
        rows = np.einsum("kna,na->nk", basis[:, chosen[good]], normals)
        gap = (((targets - shift) @ rotation / scale - mean[chosen[good]]) * normals).sum(-1)
        whole, wanted = rows.T @ rows, rows.T @ gap
        if len(guides):
            marks = np.stack([(guides.source @ b).ravel() for b in basis], 1)
            weight = lead * np.repeat(guides.weights, 3)
            whole += marks.T @ (weight[:, None] * marks)
            away = (guides.target - shift) @ rotation / scale - guides.source @ mean
            wanted += marks.T @ (weight * away.ravel())
        strength = np.interp(k, [2, rounds - 1], [60.0, 10.0])
        coefficients = np.linalg.solve(whole + strength * np.diag(stiff), wanted)
        coefficients[len(bases[0]) :] = coefficients[len(bases[0]) :].clip(-0.2, 0.6)
        shaped = mean + np.tensordot(coefficients, basis, 1)
    return scale * shaped @ rotation.T + shift
