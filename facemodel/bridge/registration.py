"""The default model laid onto another model's mean, once: landmarks, then the statistics, then every vertex.

Enters: the default model, and a model with or without landmarks. Leaves: a `Correspondence`. Imports call it.
The last step is non-rigid ICP with a stiffness that is annealed (after Amberg et al., "Optimal step nonrigid ICP
algorithms for surface registration", CVPR 2007), of displacements whose Laplacian is small. Nearest points on an open
edge, on a side that looks elsewhere, or too far away are left out, so that what the other model doesn't have (ears,
neck, the back of the head) goes along with what it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.alignment import Guides, find_guides, landmarks_of, shape_default, similarity
from facemodel.bridge.surface import (
    Surface,
    boundary,
    components,
    laplacian,
    vertex_normals,
)
from facemodel.correspondence import Correspondence, Placement
from foundation.progress import Event, Report, ignore

SOCKET = "eye_sockets"
INSIDE = ("eyes", "iris", "pupil", "teeth", "tongue", "mouth_inside", SOCKET)
OUTSIDE = ("skin", "face", "ears", "scalp", "neck")
"""Regions that aren't the outer skin, and that are."""


@dataclass(frozen=True)
class RegistrationPolicy:
    """How stiff the surface is, and what counts as a counterpart. Lengths in millimetres."""

    stiffness: tuple[float, ...] = (100.0, 50.0, 25.0, 12.0, 6.0, 3.0, 1.5, 0.8)
    landmarks: tuple[float, float] = (20.0, 4.0)  # weight of a landmark, from the first round to the last
    along: float = 0.05  # share of a nearest point's pull along the surface
    reach: tuple[float, float] = (15.0, 5.0)
    facing: float = 0.5  # least cosine between normals
    gone: tuple[float, float] = (1.5, 5.0)  # distance within which a point has a counterpart, from which it has none


POLICY = RegistrationPolicy()


def register(
    default: FaceModel,
    model: FaceModel,
    landmarks: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    *,
    policy: RegistrationPolicy = POLICY,
    report: Report = ignore,
) -> Correspondence:
    """`lay`, then `correspond`: the correspondence between the default model and another one."""
    laid = lay(default, model, landmarks, policy=policy, report=report)
    return correspond(default, model, laid, policy=policy)


def lay(
    default: FaceModel,
    model: FaceModel,
    landmarks: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    *,
    policy: RegistrationPolicy = POLICY,
    report: Report = ignore,
) -> np.ndarray:
    """(V0, 3) mm: the default model's vertices on the other model's surface, at the prior's mean.

    Args:
        landmarks: as `find_guides` takes them, where they are known better than by the model's own embeddings.
    """
    guides = find_guides(default, landmarks or landmarks_of(model))
    triangles, skin, source_skin = model.triangles.numpy(), outer_skin(model), outer_skin(default)
    surface = Surface(model.mean.double().numpy(), triangles, skin[triangles].all(1))
    steps = len(policy.stiffness) + 2
    report(Event("registering", 0, steps, "steps"))
    shaped = shape_default(default, guides, surface, source_skin & default.region("face").numpy())
    report(Event("registering", 1, steps, "steps"))
    return _bend(default, shaped, source_skin, surface, guides, policy, report)


def correspond(
    default: FaceModel, model: FaceModel, laid: np.ndarray, *, policy: RegistrationPolicy = POLICY
) -> Correspondence:
    """Which point of the model is which of the default one, that was laid onto it: (V0, 3) mm."""
    vertices, skin, source_skin = model.mean.double().numpy(), outer_skin(model), outer_skin(default)
    return Correspondence(
        default.fingerprint,
        _placed(vertices, model, skin, laid, default, source_skin, policy),
        _placed(laid, default, source_skin, vertices, model, skin, policy),
        torch.from_numpy(laid).float(),
    )


def outer_skin(model: FaceModel) -> np.ndarray:
    """(V,) bool: the surface that is seen from outside, by the model's regions where it has them."""
    count, triangles = len(model.mean), model.triangles.numpy()
    used = np.zeros(count, dtype=bool)
    used[triangles] = True
    regions = {name: mask.numpy() for name, mask in model.regions.items()}
    inside, outside = (
        np.any([regions[n] for n in names if n in regions] or [np.zeros(count, dtype=bool)], axis=0)
        for names in (INSIDE, OUTSIDE)
    )
    if model.eyes is not None:
        for index in model.eyes.vertices:
            inside[index.numpy()] = True
        centers, radius = model.eye_centers().numpy(), model.eye_radius().numpy()
        vertices = model.mean.numpy()
        for center, size in zip(centers, radius):  # the socket: around the eyeball, and not before its middle
            offset = vertices - center
            behind = (np.linalg.norm(offset, axis=-1) < 1.6 * size) & (offset[:, 2] < 0.35 * size)
            inside |= behind & ~outside
    part = components(triangles, count)
    largest = np.bincount(part[used & ~inside]).argmax()
    return used & ~inside & (part == largest)


def _bend(
    default: FaceModel, start: np.ndarray, skin: np.ndarray, surface: Surface, guides: Guides,
    policy: RegistrationPolicy, report: Report,
) -> np.ndarray:  # fmt: skip
    """(V0, 3): the skin bent onto the surface, and what is inside it taken along."""
    count, triangles = len(start), default.triangles.numpy()
    part = components(triangles, count)
    main = part == part[np.flatnonzero(skin)[0]]
    smooth = sparse.kron(laplacian(triangles, count), sparse.identity(3)).tocsc()
    smooth = (smooth.T @ smooth).tocsc()
    open_edge = boundary(surface.triangles[surface.used], len(surface.vertices))
    chosen = np.flatnonzero(skin)
    marks = sparse.kron(guides.source, sparse.identity(3)).tocsc()
    hold = sparse.diags(np.where(np.repeat(main, 3), 1e-4, 1.0))  # other parts stay, and follow later
    laid, rounds = start, len(policy.stiffness)
    for k, stiff in enumerate(policy.stiffness):
        share = k / max(rounds - 1, 1)
        reach, lead = (float(np.interp(share, [0, 1], ends)) for ends in (policy.reach, policy.landmarks))
        found = surface.nearest(laid[chosen], vertex_normals(laid, triangles)[chosen], policy.facing)
        on_edge = open_edge[surface.triangles[found.triangles]].any(1)
        good = (found.agreement > policy.facing) & (found.distance < reach) & ~on_edge
        # A pull falls off with distance, so that what is far (an ear's other side) decides little.
        pull = good / (1 + (found.distance / reach) ** 2)
        along = policy.along * np.eye(3)
        blocks = pull[:, None, None] * (found.normals[:, :, None] * found.normals[:, None] + along)
        index = 3 * chosen[:, None] + np.arange(3)
        data = sparse.csc_matrix(
            (blocks.ravel(), (np.repeat(index, 3, axis=1).ravel(), np.tile(index, 3).ravel())), (3 * count, 3 * count)
        )
        gap = np.zeros((count, 3))
        gap[chosen] = (blocks @ (found.positions - start[chosen])[..., None])[..., 0]
        matrix = data + stiff * smooth + hold
        right = gap.ravel()
        if len(guides):
            weight = sparse.diags(lead * np.repeat(guides.weights, 3))
            matrix = matrix + marks.T @ weight @ marks
            right = right + marks.T @ (weight @ (guides.target - guides.source @ start).ravel())
        moved = (
            splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
            .solve(right)
            .reshape(-1, 3)
        )
        laid = start + moved
        report(Event("registering", k + 2, rounds + 2, "steps"))
    return _take_along(default, start, laid, main, part)


def _take_along(default: FaceModel, start: np.ndarray, laid: np.ndarray, main: np.ndarray, part: np.ndarray):
    """Eyeballs, teeth and tongue, moved and sized as the lids and the lips around them were."""
    laid = laid.copy()
    regions = {name: mask.numpy() for name, mask in default.regions.items()}
    for number in np.unique(part[~main]):
        piece = part == number
        near = regions["eyelids"] if regions["eyes"][piece].any() else regions["lips"]
        near = near & (np.linalg.norm(start - start[piece].mean(0), axis=-1) < 40)
        scale, rotation, shift = similarity(start[near], laid[near])
        laid[piece] = scale * start[piece] @ rotation.T + shift
    return laid


def _placed(
    points: np.ndarray, model: FaceModel, skin: np.ndarray, vertices: np.ndarray, other: FaceModel,
    other_skin: np.ndarray, policy: RegistrationPolicy,
) -> Placement:  # fmt: skip
    """Where one model's points are on the other's surface, both laid onto each other.

    Skin lies on skin. What is inside lies on what is nearest, without counting as the same, but for eyeballs: these
    correspond by direction from their centres.
    """
    triangles, other_triangles = model.triangles.numpy(), other.triangles.numpy()
    normals = vertex_normals(points, triangles)
    outer = Surface(vertices, other_triangles, other_skin[other_triangles].all(1))
    whole = Surface(vertices, other_triangles)
    found, anything = outer.nearest(points, normals, policy.facing), whole.nearest(points, normals, policy.facing)
    near, far = policy.gone
    weight = np.clip((far - found.distance) / (far - near), 0, 1) * (found.agreement > policy.facing) * skin
    edge = boundary(other_triangles[outer.used], len(vertices))[other_triangles[found.triangles]].all(1)
    weight = np.where(edge & (found.distance > near), 0.0, weight)
    on, bary = np.where(skin, found.triangles, anything.triangles), np.where(
        skin[:, None], found.barycentric, anything.barycentric
    )  # fmt: skip
    if model.eyes is not None and other.eyes is not None:
        for mine, theirs in zip(*([index.numpy() for index in m.eyes.vertices] for m in (model, other))):
            ball = np.isin(other_triangles, theirs).all(1)
            a, b = _directions(points[mine]), _directions(vertices[theirs])
            turned = np.zeros_like(vertices)
            turned[theirs] = b
            place = Surface(turned, other_triangles, ball).nearest(a)
            on[mine], bary[mine], weight[mine] = place.triangles, place.barycentric, 1.0
    return Placement(torch.from_numpy(on), torch.from_numpy(bary).float(), torch.from_numpy(weight).float())


def _directions(ball: np.ndarray) -> np.ndarray:
    """Unit vectors from the middle of a sphere's points."""
    rows = np.c_[2 * ball, np.ones(len(ball))]
    center = np.linalg.lstsq(rows, (ball * ball).sum(-1), rcond=None)[0][:3]
    offset = ball - center
    return offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1e-9)
