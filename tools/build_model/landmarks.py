"""Landmark embeddings, calibrated by the detector itself.

Many heads of the model are drawn, MediaPipe finds its points in the pictures, and each point is tied to the place on
the surface that is seen nearest to it over all pictures. What moves apart must not be mixed up: points of the upper lip
and of the upper lid may only lie there, and so on; pictures with open mouths and different eyes tell where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from tools.build_model import schemes
from tools.build_model.eyeball import IRIS_RADIUS
from tools.build_model.eyelids import FLIP, find_lids
from tools.build_model.identity import Identity
from tools.build_model.lips import is_upper
from tools.build_model.observations import CAMERA, HeadPictures, Observation
from tools.build_model.regions import smooth_step
from tools.build_model.topology import EYE_RADIUS, Topology

GRID = 4  # samples a triangle's edge
REACH = 7.0  # mm around the first guess in which places are tried
CLIP = 5.0  # mm, beyond which an error counts no more
OUTLINE = 0.25  # weight of the face's outline, which slides over the surface when the head turns
SOFT = 2.0  # mm of spread at which a weight is a half


@dataclass(frozen=True)
class Embedding:
    triangles: np.ndarray  # (L,)
    barycentric: np.ndarray  # (L, 3)
    weights: np.ndarray  # (L,)
    spread: np.ndarray  # (L,) mm, median distance between what the detector found and the embedded point

    def pick(self, index) -> Embedding:
        return Embedding(self.triangles[index], self.barycentric[index], self.weights[index], self.spread[index])


def calibrate(
    pictures: HeadPictures, topology: Topology, identity: Identity, triangles: np.ndarray, jaw_open: np.ndarray,
    lips: np.ndarray,
) -> tuple[dict[str, Embedding], int]:  # fmt: skip
    """The embeddings of both schemes, and how many pictures they rest on."""
    allowed = allowed_triangles(topology, identity, triangles, jaw_open, lips)
    seen = pictures.observe()
    embedding = fit_embedding(seen, identity.mean, triangles, allowed, topology.mirror)
    return {"mediapipe478": embedding, "ibug68": embedding.pick(np.array(schemes.IBUG_FROM_MEDIAPIPE))}, len(seen)


def allowed_triangles(topology, identity, triangles, jaw_open, lips) -> np.ndarray:
    """(478, T) bool: the triangles on which each of MediaPipe's points may lie."""
    mean, parts = identity.mean, topology.parts
    skin = parts["head"]
    mouth_rim = parts["mouth_cavity_rim"]
    upper = is_upper(jaw_open)
    near_lips = (lips > 0.05) | mouth_rim
    masks = {"skin": skin & (lips < 0.9)}
    masks["upper lip"] = (skin | mouth_rim) & near_lips & upper
    masks["lower lip"] = (skin | mouth_rim) & near_lips & ~upper
    masks["corner"] = (skin | mouth_rim) & near_lips & (np.abs(mean[:, 0]) > 12)
    lids = find_lids(topology, mean)
    distance = np.linalg.norm(mean[:, None] - mean[lids.rim][None], axis=-1)
    near = (skin | parts["eye_cavity_rim"]) & (distance.min(1) < 5.0) & (mean[:, 0] > 0)
    nearest = distance.argmin(1)
    masks["upper lid 0"] = near & ~lids.lower[nearest]
    masks["lower lid 0"] = near & ~lids.upper[nearest]
    masks["eye corner 0"] = near
    front = np.zeros(topology.count, bool)
    front[topology.eye_vertices[0][topology.eye_polar < np.arcsin(IRIS_RADIUS / EYE_RADIUS) + 0.12]] = True
    masks["iris 0"] = front
    for name in ("upper lid", "lower lid", "eye corner", "iris"):
        masks[f"{name} 1"] = masks[f"{name} 0"][topology.mirror]
    kind = np.full(schemes.COUNT, "skin", dtype="U16")
    kind[list(schemes.UPPER_LIP)], kind[list(schemes.LOWER_LIP)] = "upper lip", "lower lip"
    kind[list(schemes.MOUTH_CORNERS)] = "corner"
    for eye in range(2):
        kind[list(schemes.UPPER_LID[eye])] = f"upper lid {eye}"
        kind[list(schemes.LOWER_LID[eye])] = f"lower lid {eye}"
        kind[list(schemes.EYE_CORNERS[eye])] = f"eye corner {eye}"
        kind[list(schemes.IRIS[eye])] = f"iris {eye}"
    table = {name: mask[triangles].all(1) for name, mask in masks.items()}
    return np.stack([table[k] for k in kind])


def fit_embedding(seen: list[Observation], mean, triangles, allowed, mirror) -> Embedding:
    guess = _first_guess(seen, mean)
    samples = {}
    chosen = np.zeros((schemes.COUNT, 3))
    for i in range(schemes.COUNT):
        places = _samples(samples, allowed[i], mean, triangles)
        chosen[i] = _best_place(seen, i, guess[i], places, mean, triangles)
    partner = _partners(chosen)
    lone = (partner == np.arange(schemes.COUNT)) & (np.abs(chosen[:, 0]) > 3.0)
    chosen = np.where(lone[:, None], chosen, (chosen + chosen[partner] * FLIP) / 2)
    index, weights = np.zeros(schemes.COUNT, int), np.zeros((schemes.COUNT, 3))
    for i in range(schemes.COUNT):
        places = _samples(samples, allowed[i], mean, triangles)
        k = places.tree.query(chosen[i])[1]
        index[i], weights[i] = places.triangle[k], places.barycentric[k]
    spread = np.median([_distances(o, index, weights, triangles) for o in seen], axis=0)
    spread = (spread + spread[partner]) / 2
    trust = 1 / (1 + (spread / SOFT) ** 2)
    trust[list(schemes.FACE_OVAL)] *= OUTLINE
    return Embedding(index, weights, trust, spread)


def _first_guess(seen: list[Observation], mean: np.ndarray) -> np.ndarray:
    """(478, 3) on the mean head: the median of the nearest visible vertices."""
    votes = []
    for o in seen:
        visible = np.nonzero(o.facing > 0.15)[0]
        order = cKDTree(o.pixels[visible]).query(o.points, k=6)[1]
        near = visible[order]
        front = np.take_along_axis(near, o.depth[near].argmin(1)[:, None], 1)[:, 0]
        votes.append(mean[front])
    return np.median(votes, axis=0)


@dataclass(frozen=True)
class _Places:
    triangle: np.ndarray  # (M,)
    barycentric: np.ndarray  # (M, 3)
    tree: cKDTree  # of their positions on the mean head


def _samples(cache: dict, mask: np.ndarray, mean, triangles) -> _Places:
    key = mask.tobytes()
    if key not in cache:
        steps = [(i, j, GRID - i - j) for i in range(GRID + 1) for j in range(GRID + 1 - i)]
        grid = np.array(steps) / GRID
        used = np.nonzero(mask)[0]
        position = np.einsum("gk,tkc->tgc", grid, mean[triangles[used]]).reshape(-1, 3)
        cache[key] = _Places(np.repeat(used, len(grid)), np.tile(grid, (len(used), 1)), cKDTree(position))
    return cache[key]


def _best_place(seen, point: int, guess, places: _Places, mean, triangles) -> np.ndarray:
    """The sampled place near the guess with the least mean clipped distance to the detected point over all pictures."""
    near = np.array(places.tree.query_ball_point(guess, REACH))
    if len(near) < 20:
        near = places.tree.query(guess, k=min(200, places.tree.n))[1]
    corners, weights = triangles[places.triangle[near]], places.barycentric[near]
    cost = np.zeros(len(near))
    for o in seen:
        pixels = np.einsum("mk,mkc->mc", weights, o.pixels[corners])
        depth = np.einsum("mk,mk->m", weights, o.depth[corners])
        away = np.linalg.norm(pixels - o.points[point], axis=1) * depth / CAMERA.focal
        facing = np.einsum("mk,mk->m", weights, o.facing[corners])
        cost += np.minimum(away, CLIP) + 1.0 * smooth_step(facing, 0.1, -0.3)
    best = near[cost <= cost.min() + 0.01 * len(seen)]
    return places.tree.data[best].mean(0)


def _partners(points: np.ndarray) -> np.ndarray:
    """(478,) the point that each one becomes in a mirror: mutually nearest, then so among those that are left."""
    partner = np.arange(len(points))
    left = partner.copy()
    while len(left):
        near = cKDTree(points[left]).query(points[left] * FLIP)[1]
        mutual = near[near] == np.arange(len(left))
        partner[left[mutual]] = left[near[mutual]]
        left = left[~mutual]
        if not mutual.any():
            break
    return partner


def _distances(o: Observation, index, weights, triangles) -> np.ndarray:
    """(478,) mm between the embedded and the detected points in a picture."""
    corners = triangles[index]
    pixels = np.einsum("mk,mkc->mc", weights, o.pixels[corners])
    depth = np.einsum("mk,mk->m", weights, o.depth[corners])
    return np.linalg.norm(pixels - o.points, axis=1) * depth / CAMERA.focal
