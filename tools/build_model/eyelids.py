"""Eyelids that fit their eyeballs: at rest, over all identities, and when they close.

Everything is worked out on the subject's left eye and mirrored to the right one. The rim is the loop of vertices where
the skin turns into the eye socket: the inner edge of the lids' margins, about 3 mm thick in the base mesh. It's what
touches the ball. Corrections are found on the rim and spread to the skin around with a smooth falloff.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tools.build_model.identity import Identity, with_eyeballs
from tools.build_model.regions import smooth_step
from tools.build_model.topology import EYE_RADIUS, Topology

FLIP = np.array([-1.0, 1.0, 1.0])
TOUCH = 0.3  # mm between the rim and the ball at rest
CANTHUS = 0.45  # how much of the corners' distance from the ball is kept
REACH = 9.0  # mm, how far a correction of the rim spreads
RADIUS_VARIES = 0.4  # people's eyeballs vary less than their eyes' openings
APERTURE_VARIES = 0.45  # kept part of the opening's variation, so that lids that close at the mean close for everyone
CLOSED_OFF = 1.6  # mm between the closed upper rim and the mean ball, in reserve for lids of other identities
OVERLAP = 1.0  # mm by which the closed upper lid's margin passes the lower one's
FRONT_OVERLAP = 1.2  # the same of the margins' front edges
RAISED = 1.2  # mm by which the lower lid rises
SKIRT = 4.2  # mm by which the upper lid's inside reaches below its margin when closed, behind the lower lid
SKIRT_OFF = 2.2  # mm between that and the ball


@dataclass(frozen=True)
class Lids:
    """The left eye's rim and what is around it."""

    rim: np.ndarray  # (R,) vertices, from the inner corner along the upper lid to the outer one and back below
    upper: np.ndarray  # (R,) bool; corners are neither upper nor lower
    lower: np.ndarray
    below: np.ndarray  # (R, R) weights: the point of the lower rim under (at the same x as) each rim vertex
    near: np.ndarray  # (N,) vertices that corrections spread to, the rim among them
    spread: np.ndarray  # (N, R) weights of that
    inner: np.ndarray  # (K,) vertices of the socket next to the upper rim
    inner_rim: np.ndarray  # (K,) for each the nearest rim vertex, as a place in rim
    front: np.ndarray  # (F,) the front edge of the lids' margins: skin vertices next to the rim
    front_rim: np.ndarray  # (F,) for each its neighbour, as a place in rim

    def propagate(self, correction: np.ndarray) -> np.ndarray:
        """(..., R, 3) on the rim to (..., N, 3) on the vertices ``near``."""
        return np.einsum("nr,...rc->...nc", self.spread, correction)


def find_lids(topology: Topology, mean: np.ndarray) -> Lids:
    left = mean[:, 0] > 0
    rim = _ordered(np.nonzero(topology.parts["eye_cavity_rim"] & left)[0], mean)
    points = mean[rim]
    inner, outer = points[:, 0].argmin(), points[:, 0].argmax()
    along = (points[:, 0] - points[inner, 0]) / (points[outer, 0] - points[inner, 0])
    chord = points[inner, 1] + along * (points[outer, 1] - points[inner, 1])
    corner = np.isin(np.arange(len(rim)), [inner, outer])
    upper, lower = (points[:, 1] > chord) & ~corner, (points[:, 1] < chord) & ~corner
    skin = (topology.parts["head"] | topology.parts["eye_cavity"]) & left
    distance = np.linalg.norm(mean[:, None] - points[None], axis=-1)
    near = np.nonzero(skin & (distance.min(1) < REACH))[0]
    spread = _spread(near, rim, mean)
    inside = topology.parts["eye_cavity"]
    touching = np.unique(topology.quads[np.isin(topology.quads, rim[upper]).any(1)])
    inner_vertices = touching[inside[touching]]
    front, front_rim = _front_edge(topology, rim)
    return Lids(
        rim=rim,
        upper=upper,
        lower=lower,
        below=_interpolate_along_x(points, lower | corner),
        near=near,
        spread=spread,
        inner=inner_vertices,
        inner_rim=np.where(upper, distance[inner_vertices], np.inf).argmin(1),
        front=front,
        front_rim=front_rim,
    )


def _spread(near: np.ndarray, source: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N, R) weights that carry a displacement of ``source`` to ``near``, falling off; sources keep their own."""
    distance = np.linalg.norm(mean[near][:, None] - mean[source][None], axis=-1)
    weight = np.exp(-((distance / 2.5) ** 2) / 2) + 1e-12
    own = np.where(np.isin(near, source)[:, None], (distance < 1e-9) * 1.0, weight)
    return own / own.sum(1, keepdims=True) * smooth_step(distance.min(1), REACH, 1.0)[:, None]


def _front_edge(topology: Topology, rim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skin vertices joined to the rim by a quad's side, and the place in ``rim`` of that neighbour."""
    sides = np.concatenate([topology.quads[:, [k, (k + 1) % 4]] for k in range(4)])
    sides = np.concatenate([sides, sides[:, ::-1]])
    place = {v: k for k, v in enumerate(rim.tolist())}
    pairs = {b: place[a] for a, b in sides.tolist() if a in place and b not in place and topology.parts["head"][b]}
    front = np.array(sorted(pairs))
    return front, np.array([pairs[v] for v in front])


def _ordered(rim: np.ndarray, mean: np.ndarray) -> np.ndarray:
    offset = mean[rim] - (mean[rim].min(0) + mean[rim].max(0)) / 2
    return rim[np.argsort(-np.arctan2(offset[:, 1], -offset[:, 0]))]


def _interpolate_along_x(points: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(R, R) weights that interpolate a function of x over the ``used`` points at every point."""
    order = np.nonzero(used)[0][np.argsort(points[used, 0])]
    weights = np.zeros((len(points), len(points)))
    for i, x in enumerate(points[:, 0]):
        k = int(np.clip(np.searchsorted(points[order, 0], x), 1, len(order) - 1))
        a, b = order[k - 1], order[k]
        t = np.clip((x - points[a, 0]) / max(points[b, 0] - points[a, 0], 1e-6), 0, 1)
        weights[i, a], weights[i, b] = 1 - t, t
    return weights


def _flipped(shapes: np.ndarray, topology: Topology) -> np.ndarray:
    """Shapes (..., V, 3) seen in a mirror."""
    return shapes[..., topology.mirror, :] * FLIP


def fit_eyes(topology: Topology, identity: Identity) -> Identity:
    """The identity space with eyeballs that fit the lids' rims and rims that follow their eyeballs."""
    size = len(topology.base)
    lids = find_lids(topology, identity.mean)
    center = _fitted_center(identity, lids)
    mean, direction = _fit_mean(identity.mean, lids, center)
    mean = np.where((identity.mean[:, :1] > 0), mean, _flipped(mean, topology))
    radius_basis = identity.eye_radius_basis * RADIUS_VARIES
    basis = identity.basis.copy()
    left = mean[:, 0] > 0
    for eye in range(2):  # the right eye is corrected as the left one of the mirrored shapes
        seen = basis if eye == 0 else _flipped(basis, topology)
        ball = identity.eye_center_basis[:, eye] * (1 if eye == 0 else FLIP)
        seen = _fit_basis(seen, lids, ball, radius_basis[:, eye], direction)
        basis = (
            np.where(left[:, None], seen, basis)
            if eye == 0
            else np.where(left[topology.mirror][:, None], _flipped(seen, topology), basis)
        )
    centers = np.stack([center, center * FLIP])
    eye_mean = np.concatenate([centers, np.full((2, 1), EYE_RADIUS)], 1)
    eye_basis = np.concatenate([identity.eye_center_basis, radius_basis[..., None]], -1)
    full_mean, full_basis = with_eyeballs(topology, mean[:size], basis[:, :size], eye_mean, eye_basis)
    return replace(
        identity,
        mean=full_mean,
        basis=full_basis,
        eye_center=centers,
        eye_radius=eye_mean[:, 3],
        eye_radius_basis=radius_basis,
    )


def _fitted_center(identity: Identity, lids: Lids) -> np.ndarray:
    """The left eye's centre, moved up and forward so that the lids' middle parts lie nearest to TOUCH off the ball."""
    center = identity.eye_center[0].copy()
    points = identity.mean[lids.rim]
    middle = np.abs(points[:, 0] - center[0]) < 8.5
    for _ in range(20):
        offset = points[middle] - center
        length = np.linalg.norm(offset, axis=1)
        jacobian = -(offset / length[:, None])[:, 1:]
        center[1:] -= np.linalg.lstsq(jacobian, length - EYE_RADIUS - TOUCH, rcond=None)[0]
    return center


def _fit_mean(mean: np.ndarray, lids: Lids, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean with the left rim touching the ball, and the rim's directions (R, 3) from its centre."""
    offset = mean[lids.rim] - center
    length = np.linalg.norm(offset, axis=1, keepdims=True)
    direction = offset / length
    wanted = EYE_RADIUS + TOUCH + CANTHUS * np.maximum(length - EYE_RADIUS - TOUCH - 0.5, 0)
    mean = mean.copy()
    mean[lids.near] += lids.propagate((wanted - length) * direction)
    return mean, direction


def _fit_basis(basis: np.ndarray, lids: Lids, center_basis, radius_basis, direction) -> np.ndarray:
    """The basis with the left rim keeping its distance from the ball, and an opening that varies less.

    The upper rim has to keep it open and closed: what counts is the direction midway between the two.
    """
    basis = basis.copy()
    midway = direction + lids.below @ direction
    midway /= np.linalg.norm(midway, axis=1, keepdims=True)
    direction = np.where(lids.upper[:, None], midway, direction)
    relative = basis[:, lids.rim] - center_basis[:, None]
    radial = (relative * direction).sum(-1, keepdims=True)
    correction = (radius_basis[:, None, None] - radial) * direction
    opening = relative - np.einsum("rs,ksc->krc", lids.below, relative)
    opening = opening * lids.upper[:, None] * [0, 1, 0]
    less = (1 - APERTURE_VARIES) * opening
    correction -= 0.6 * less
    lift = np.einsum("rs,krc->ksc", lids.below * lids.upper[:, None], 0.4 * less)
    share = np.maximum((lids.below * lids.upper[:, None]).sum(0), 1e-9)[:, None]
    correction += np.where(lids.lower[:, None], lift / np.maximum(share, 0.5), 0)
    basis[:, lids.near] += lids.propagate(correction)
    basis[:, lids.inner] = basis[:, lids.rim[lids.inner_rim]]  # so that they cover what the closed rim leaves open
    return basis


def fit_shape(shape: np.ndarray, topology: Topology, identity: Identity) -> np.ndarray:
    """An expression shape (V, 3) that doesn't push a lid's rim into the ball, for both eyes."""
    lids = find_lids(topology, identity.mean)
    for _ in range(2):
        offset = identity.mean[lids.rim] + shape[lids.rim] - identity.eye_center[0]
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        push = np.maximum(EYE_RADIUS + TOUCH - length, 0) * offset / length
        shape = shape.copy()
        shape[lids.near] += lids.propagate(push)
        shape = _flipped(shape, topology)
    return shape


def close_lids(blink: np.ndarray, topology: Topology, identity: Identity) -> np.ndarray:
    """MakeHuman's blink of the left eye (V, 3), corrected so that the margins meet along the whole opening."""
    lids = find_lids(topology, identity.mean)
    center, mean = identity.eye_center[0], identity.mean
    rim = mean[lids.rim]
    corners = ~(lids.upper | lids.lower)
    x_low, x_high = rim[corners, 0].min(), rim[corners, 0].max()
    taper = np.clip(4 * (rim[:, 0] - x_low) * (x_high - rim[:, 0]) / (x_high - x_low) ** 2, 0, 1) ** 0.5
    lower_closed = rim + np.where(lids.lower, RAISED * taper, 0)[:, None] * [0, 1, 0]
    meeting = np.einsum("rs,sc->rc", lids.below, lower_closed)
    closed = np.where(lids.lower[:, None], lower_closed, rim)
    goal = np.stack([rim[:, 0], meeting[:, 1] - OVERLAP * taper, meeting[:, 2]], 1)
    closed = np.where(lids.upper[:, None], goal, closed)
    offset = closed - center
    length = np.linalg.norm(offset, axis=1, keepdims=True)
    away = EYE_RADIUS + np.where(lids.upper, CLOSED_OFF, TOUCH)[:, None]
    offset *= np.where(
        lids.upper[:, None] & (np.abs(rim[:, :1] - center[0]) < 9), away / length, np.maximum(1, away / length)
    )
    wanted = offset + center - rim
    shape = blink.copy()
    shape[lids.near] += lids.propagate(wanted - blink[lids.rim])
    shape = _meet_in_front(shape, lids, mean, taper)
    skirt = center + offset[lids.inner_rim] - [0, SKIRT, 0] * taper[lids.inner_rim][:, None]
    skirt = skirt - center
    skirt *= (EYE_RADIUS + SKIRT_OFF) / np.linalg.norm(skirt, axis=1, keepdims=True)
    middle = taper[lids.inner_rim] > 0.2
    shape[lids.inner[middle]] = (skirt + center - mean[lids.inner])[middle]
    return shape


def _meet_in_front(shape: np.ndarray, lids: Lids, mean: np.ndarray, taper: np.ndarray) -> np.ndarray:
    """The closing shape with the margins' front edges meeting too, as their inner ones do."""
    closed = mean[lids.front] + shape[lids.front]
    upper, lower = lids.upper[lids.front_rim], lids.lower[lids.front_rim]
    order = np.nonzero(lower)[0][np.argsort(closed[lower, 0])]
    meeting = np.interp(closed[:, 0], closed[order, 0], closed[order, 1])
    move = np.where(upper, meeting - FRONT_OVERLAP * taper[lids.front_rim] - closed[:, 1], 0.0)
    near = np.setdiff1d(lids.near, lids.rim)
    shape = shape.copy()
    shape[near, 1] += _spread(near, lids.front, mean) @ move
    return shape
