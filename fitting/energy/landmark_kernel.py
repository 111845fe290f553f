"""Compiled CPU kernel of landmarks and their pairs; the reference in plain torch is in `fitting.energy.landmarks`.

Imported only where it's used, since Numba takes a while to import. It writes each row once, weighted, and repeats the
reference's arithmetic line by line.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foundation.compiled import jit

# Loops and branches are what this function is about.
# ruff: noqa: PLR0912, PLR0915

F = np.float32
ONE, TWO, HALF, ZERO = F(1), F(2), F(0.5), F(0)


class Marks(NamedTuple):
    """L landmarks of one frame."""

    neutral: np.ndarray  # (L, 3) mm, mean + identity
    coefficients: np.ndarray  # (M,) what moves them
    normal: np.ndarray  # (L, 3)
    weights: np.ndarray  # (L,) how much each counts
    observed: np.ndarray  # (L, 2) px about the principal point, NaN where unknown
    unit: float  # 1 / px


class Eyeballs(NamedTuple):
    eye: np.ndarray  # (L,) side or -1
    centre: np.ndarray  # (2, 3) mm
    sines: np.ndarray  # (2, 2) of yaw and pitch
    cosines: np.ndarray  # (2, 2)


class Pairs(NamedTuple):
    index: np.ndarray  # (P, 2)
    strengths: np.ndarray  # (P,), see `fitting.energy.pairs.strengths`
    on_eyes: int  # how many of them open eyes
    corners: np.ndarray  # (2, 2) of the eyes
    across: np.ndarray  # (2,), see `fitting.energy.pairs.across_eyes`
    heights: np.ndarray  # (P',) of the last pairs, `FitState.brows`


class Bases(NamedTuple):
    motion: np.ndarray  # (L, 3, M)
    identity: np.ndarray  # (L, 3, I)
    centre: np.ndarray  # (2, 3, I) of the eyeballs' centres by identity


class Scales(NamedTuple):
    """Of `fitting.policy.weights.TermWeights`."""

    landmarks: float
    strength: float
    pairs: float


@jit
def turns(sines, cosines):
    """Rotations (2, 3, 3) of both eyes and their derivatives by yaw and by pitch; see `facemodel.gaze`."""
    out = np.zeros((3, 2, 3, 3), np.float32)
    for side in range(2):
        sy, sp, cy, cp = sines[side, 0], sines[side, 1], cosines[side, 0], cosines[side, 1]
        ss, sc, cs, cc = sy * sp, sy * cp, cy * sp, cy * cp
        turn, by_yaw, by_pitch = out[0, side], out[1, side], out[2, side]
        turn[0, 0], turn[0, 1], turn[0, 2], turn[1, 1], turn[1, 2] = cy, -ss, sc, cp, sp
        turn[2, 0], turn[2, 1], turn[2, 2] = -sy, -cs, cc
        by_yaw[0, 0], by_yaw[0, 1], by_yaw[0, 2] = -sy, -cs, cc
        by_yaw[2, 0], by_yaw[2, 1], by_yaw[2, 2] = -cy, ss, -sc
        by_pitch[0, 1], by_pitch[0, 2], by_pitch[1, 1], by_pitch[1, 2] = -sc, -ss, -sp, cp
        by_pitch[2, 1], by_pitch[2, 2] = -cc, -cs
    return out[0], out[1], out[2]


@jit
def landmark_rows(marks, eyeballs, pairs, bases, pose, scales, shared, out, squared):
    """Fills the rows of one frame's landmarks, (2 L) and then of the pairs (2 P), each times the root of its weight.

    Args:
        marks: `Marks`. eyeballs: `Eyeballs`. pairs: `Pairs`. bases: `Bases`. pose: `Pose`. scales: `Scales`.
        shared: whether identity, reflectance and focal length have columns.
        out: (2 L + 2 P, C + 1) float32, zeroed. squared: (L,) distances over the face's size.
    """
    neutral, coefficients, normal, reliability = marks.neutral, marks.coefficients, marks.normal, marks.weights
    observed, unit = marks.observed, marks.unit
    eye, centre = eyeballs.eye, eyeballs.centre
    turn, by_yaw, by_pitch = turns(eyeballs.sines, eyeballs.cosines)
    index, pair_strengths, eye_pairs, corners = pairs.index, pairs.strengths, pairs.on_eyes, pairs.corners
    across, heights = pairs.across, pairs.heights
    motion, identity, centre_identity = bases.motion, bases.identity, bases.centre
    rotation, translation, focal = pose.rotation, pose.translation, pose.focal
    scale, strength, pair_scale = scales.landmarks, scales.strength, scales.pairs
    count, motions, identities = neutral.shape[0], motion.shape[2], identity.shape[2]
    last = out.shape[1] - 1
    first = last - motions - 37
    openness = np.zeros(2, np.float32)
    half = eye_pairs // 2
    for side in range(2):
        opening = ZERO
        for k in range(half):
            a, b = index[side * half + k]
            opening += np.sqrt((observed[a, 0] - observed[b, 0]) ** 2 + (observed[a, 1] - observed[b, 1]) ** 2) / F(
                half
            )
        a, b = corners[side]
        width = np.sqrt((observed[a, 0] - observed[b, 0]) ** 2 + (observed[a, 1] - observed[b, 1]) ** 2)
        value = opening / max(width, F(1e-6))
        openness[side] = value if np.isfinite(value) else ZERO
    weights = np.zeros(count, np.float32)
    facings = np.zeros(count, np.float32)
    skin = np.empty(3, np.float32)
    point = np.empty(3, np.float32)
    p = np.empty(3, np.float32)
    total = ZERO
    for n in range(count):
        for i in range(3):
            value = neutral[n, i]
            for e in range(motions):
                value += motion[n, i, e] * coefficients[e]
            skin[i] = value
        side = eye[n]
        for i in range(3):
            point[i] = skin[i]
        if side >= 0:
            for i in range(3):
                point[i] = centre[side, i]
                for j in range(3):
                    point[i] += turn[side, i, j] * (skin[j] - centre[side, j])
        for i in range(3):
            p[i] = rotation[i, 0] * point[0] + rotation[i, 1] * point[1] + rotation[i, 2] * point[2]
        inverse = ONE / (translation[2] - p[2])
        u, v = focal * (p[0] + translation[0]) * inverse, focal * (translation[1] - p[1]) * inverse
        facing = rotation[2, 0] * normal[n, 0] + rotation[2, 1] * normal[n, 1] + rotation[2, 2] * normal[n, 2]
        facings[n] = min(max(facing / F(0.4) + HALF, F(0.1)), ONE)
        known = np.isfinite(observed[n, 0]) and np.isfinite(observed[n, 1])
        du, dv = (u - observed[n, 0]) * unit, (v - observed[n, 1]) * unit
        weight = reliability[n] * facings[n]
        if not known:
            du = dv = weight = ZERO
        if side >= 0:
            weight *= min(openness[side] / F(0.15), ONE)
        squared[n] = du * du + dv * dv
        weights[n] = weight
        total += weight
        fz = focal * inverse * unit
        for axis in range(2):
            r = 2 * n + axis
            c0 = fz if axis == 0 else ZERO
            c1 = ZERO if axis == 0 else fz
            c2 = -(u if axis == 0 else v) * inverse * unit
            out[r, first + 3], out[r, first + 4], out[r, first + 5] = c0, c1, c2
            g0, g1, g2 = c0, -c1, -c2
            out[r, first] = p[1] * g2 - p[2] * g1
            out[r, first + 1] = p[2] * g0 - p[0] * g2
            out[r, first + 2] = p[0] * g1 - p[1] * g0
            m0 = g0 * rotation[0, 0] + g1 * rotation[1, 0] + g2 * rotation[2, 0]
            m1 = g0 * rotation[0, 1] + g1 * rotation[1, 1] + g2 * rotation[2, 1]
            m2 = g0 * rotation[0, 2] + g1 * rotation[1, 2] + g2 * rotation[2, 2]
            l0, l1, l2 = m0, m1, m2
            if side >= 0:
                l0 = m0 * turn[side, 0, 0] + m1 * turn[side, 1, 0] + m2 * turn[side, 2, 0]
                l1 = m0 * turn[side, 0, 1] + m1 * turn[side, 1, 1] + m2 * turn[side, 2, 1]
                l2 = m0 * turn[side, 0, 2] + m1 * turn[side, 1, 2] + m2 * turn[side, 2, 2]
                at = first + 6 + motions + 2 * side
                for j in range(3):
                    off = skin[j] - centre[side, j]
                    out[r, at] += off * (m0 * by_yaw[side, 0, j] + m1 * by_yaw[side, 1, j] + m2 * by_yaw[side, 2, j])
                    out[r, at + 1] += off * (
                        m0 * by_pitch[side, 0, j] + m1 * by_pitch[side, 1, j] + m2 * by_pitch[side, 2, j]
                    )
            for e in range(motions):
                out[r, first + 6 + e] = l0 * motion[n, 0, e] + l1 * motion[n, 1, e] + l2 * motion[n, 2, e]
            if shared:
                for e in range(identities):
                    out[r, e] = l0 * identity[n, 0, e] + l1 * identity[n, 1, e] + l2 * identity[n, 2, e]
                if side >= 0:
                    for e in range(identities):
                        out[r, e] += (
                            (m0 - l0) * centre_identity[side, 0, e]
                            + (m1 - l1) * centre_identity[side, 1, e]
                            + (m2 - l2) * centre_identity[side, 2, e]
                        )
                out[r, first - 1] = (u if axis == 0 else v) * unit
            out[r, last] = du if axis == 0 else dv

    others = index.shape[0] - heights.shape[0]
    for k in range(index.shape[0]):
        a, b = index[k]
        r = 2 * count + 2 * k
        for axis in range(2):
            for c in range(last + 1):
                out[r + axis, c] = out[2 * a + axis, c] - out[2 * b + axis, c]
        if k >= others:
            for c in range(last + 1):
                out[r, c] = across[0] * out[r, c] + across[1] * out[r + 1, c]
                out[r + 1, c] = ZERO
            out[r, last] += heights[k - others]
        weight = ZERO
        if np.isfinite(observed[a, 0] + observed[a, 1] + observed[b, 0] + observed[b, 1]):
            weight = min(facings[a], facings[b]) * pair_strengths[k] / (pair_scale * pair_scale * TWO)
            weight /= ONE + (out[r, last] ** 2 + out[r + 1, last] ** 2) / (F(16) * pair_scale * pair_scale)
        root = np.sqrt(weight)
        for axis in range(2):
            for c in range(last + 1):
                out[r + axis, c] *= root
    for n in range(count):
        weight = weights[n] / (ONE + squared[n] / (F(4) * scale * scale))
        root = np.sqrt(weight * strength / (scale * scale * TWO * max(total, F(1e-3))))
        for r in range(2 * n, 2 * n + 2):
            for c in range(last + 1):
                out[r, c] *= root
