"""Compiled CPU kernels of the two data terms; their references in plain torch are in `fitting.energy.terms`.

Imported only where they are used, since Numba takes a while to import. They write each row once, weighted, without
temporaries of the size of the Jacobian, and repeat the references' arithmetic line by line.
"""

from __future__ import annotations

import numpy as np

from foundation.compiled import jit
from geometry.spherical_harmonics import C0, C1, C2, C3, C4

F = np.float32
# Loops and branches are what these functions are about; calls into them are positional.
# ruff: noqa: PLR0912, PLR0915, PLR0917

K0, K1, K2, K3, K4 = F(C0), F(C1), F(C2), F(C3), F(C4)
SLOPE_LOW, SLOPE_HIGH, POWER = F(12.92), F(1.055 / 2.4), F(1 / 2.4)
KNEE, DARK, ONE, TWO, THREE, HALF, ZERO = F(0.0031308), F(1e-4), F(1), F(2), F(3), F(0.5), F(0)
TINY, LIFT, GAIN = F(1e-12), F(0.055), F(1.055)


@jit
def photometric_rows(
    nine, albedo, visible, image, rotation, translation, focal, offset, scale, light, colour_scale,
    expression, identity, reflectance, shared, compact, first, out, detail, squared, seen,
):  # fmt: skip
    """Fills the rows of one frame; returns how many, and the sum of their weights before the square root.

    Args:
        nine: (N, 9) float32, the samples' position and tangents, mm, model axes, with identity and expression.
        albedo: (N, 3) linear. visible: (N,). image: (S, S, 9) colours and derivatives of one pyramid level.
        rotation: (3, 3), translation: (3,) mm. focal: px of the frame. offset: (2,) principal point minus the
            crop's corner. scale: level px a frame px. light: (9, 3).
        expression: (N, 9, E), identity: (N, 9, I), reflectance: (N, 3, A): the bases.
        shared: whether identity, reflectance and focal length have columns. compact: leave unseen samples out.
        first: column of the rotation. out: (3 N, C + 1) float32, zeroed where compact is False; each row is multiplied
            by the root of its weight, the residual is the last column.
        detail: (3 N,) derivative by the sample's own albedo, times the root of the weight.
        squared: (N,) error. seen: (N,) its weight before the robust one, 0 where the sample isn't seen.
    """
    size = image.shape[0]
    expressions, identities, reflectances = expression.shape[2], identity.shape[2], reflectance.shape[2]
    last = out.shape[1] - 1
    border = ONE - TWO / F(size)
    at_expression = first + 6
    at_light = at_expression + expressions + 4
    row, total = 0, 0.0
    sh = np.empty(9, np.float32)
    dsh = np.empty((9, 3), np.float32)
    x = np.empty((3, 3), np.float32)  # R p, R t1, R t2
    g = np.empty((3, 3), np.float32)  # derivative of a channel by them
    u = np.empty(9, np.float32)
    dx = np.empty(3, np.float32)
    dy = np.empty(3, np.float32)
    colour = np.empty(3, np.float32)
    by_m = np.empty(3, np.float32)
    camera = np.empty(3, np.float32)
    for n in range(nine.shape[0]):
        squared[n] = seen[n] = ZERO
        if visible[n] == ZERO:
            row += 0 if compact else 3
            continue
        for k in range(3):
            for i in range(3):
                x[k, i] = (
                    rotation[i, 0] * nine[n, 3 * k]
                    + rotation[i, 1] * nine[n, 3 * k + 1]
                    + rotation[i, 2] * nine[n, 3 * k + 2]
                )
        cx, cy, cz = x[0, 0] + translation[0], translation[1] - x[0, 1], translation[2] - x[0, 2]
        inverse = ONE / cz
        px, py = focal * cx * inverse, focal * cy * inverse
        lx, ly = (px + offset[0]) * scale, (py + offset[1]) * scale
        if not (abs(lx * TWO / F(size) - ONE) < border and abs(ly * TWO / F(size) - ONE) < border):
            row += 0 if compact else 3
            continue
        mx = x[1, 1] * x[2, 2] - x[1, 2] * x[2, 1]
        my = x[1, 2] * x[2, 0] - x[1, 0] * x[2, 2]
        mz = x[1, 0] * x[2, 1] - x[1, 1] * x[2, 0]
        length = max(np.sqrt(mx * mx + my * my + mz * mz), TINY)
        nx, ny, nz = mx / length, my / length, mz / length
        facing = -(nx * cx - ny * cy - nz * cz) / np.sqrt(cx * cx + cy * cy + cz * cz)
        if facing <= ZERO:
            row += 0 if compact else 3
            continue
        weight = visible[n] * min(facing, ONE)

        sx, sy = lx - HALF, ly - HALF
        ix, iy = int(np.floor(sx)), int(np.floor(sy))
        fx, fy = sx - F(ix), sy - F(iy)
        ix0, iy0 = max(ix, 0), max(iy, 0)
        ix1, iy1 = min(ix + 1, size - 1), min(iy + 1, size - 1)
        w00, w01 = (ONE - fx) * (ONE - fy), fx * (ONE - fy)
        w10, w11 = (ONE - fx) * fy, fx * fy
        for c in range(3):
            colour[c] = (
                w00 * image[iy0, ix0, c] + w01 * image[iy0, ix1, c]
                + w10 * image[iy1, ix0, c] + w11 * image[iy1, ix1, c]
            )  # fmt: skip
            dx[c] = scale * (
                w00 * image[iy0, ix0, c + 3] + w01 * image[iy0, ix1, c + 3]
                + w10 * image[iy1, ix0, c + 3] + w11 * image[iy1, ix1, c + 3]
            )  # fmt: skip
            dy[c] = scale * (
                w00 * image[iy0, ix0, c + 6] + w01 * image[iy0, ix1, c + 6]
                + w10 * image[iy1, ix0, c + 6] + w11 * image[iy1, ix1, c + 6]
            )  # fmt: skip

        sh[0], sh[1], sh[2], sh[3] = K0, K1 * ny, K1 * nz, K1 * nx
        sh[4], sh[5], sh[6] = K2 * nx * ny, K2 * ny * nz, K3 * (THREE * nz * nz - ONE)
        sh[7], sh[8] = K2 * nx * nz, K4 * (nx * nx - ny * ny)
        dsh[:] = ZERO
        dsh[1, 1] = dsh[2, 2] = dsh[3, 0] = K1
        dsh[4, 0], dsh[4, 1] = K2 * ny, K2 * nx
        dsh[5, 1], dsh[5, 2] = K2 * nz, K2 * ny
        dsh[6, 2] = TWO * THREE * K3 * nz
        dsh[7, 0], dsh[7, 2] = K2 * nz, K2 * nx
        dsh[8, 0], dsh[8, 1] = TWO * K4 * nx, -TWO * K4 * ny

        error = ZERO
        fz = focal * inverse
        for c in range(3):
            r = row + c
            shading = ZERO
            for k in range(9):
                shading += sh[k] * light[k, c]
            linear = albedo[n, c] * shading
            slope = ZERO
            if linear > KNEE:
                power = linear**POWER
                slope = SLOPE_HIGH * power / linear
                shown = GAIN * power - LIFT
            elif linear > DARK:
                slope = SLOPE_LOW
                shown = SLOPE_LOW * linear
            else:
                shown = SLOPE_LOW * DARK
            residual = shown - colour[c]
            error += residual * residual
            # By the camera-frame position through the image, with the flip of y and z: by R p.
            ax, ay = -dx[c] * fz, -dy[c] * fz
            az = (dx[c] * px + dy[c] * py) * inverse
            camera[0], camera[1], camera[2] = ax, ay, az
            g[0, 0], g[0, 1], g[0, 2] = ax, -ay, -az
            by_n0, by_n1, by_n2 = ZERO, ZERO, ZERO
            through = slope * albedo[n, c]
            for k in range(1, 9):
                by_n0 += dsh[k, 0] * light[k, c]
                by_n1 += dsh[k, 1] * light[k, c]
                by_n2 += dsh[k, 2] * light[k, c]
            by_n0, by_n1, by_n2 = by_n0 * through, by_n1 * through, by_n2 * through
            along = by_n0 * nx + by_n1 * ny + by_n2 * nz
            by_m[0], by_m[1], by_m[2] = (
                (by_n0 - along * nx) / length,
                (by_n1 - along * ny) / length,
                (by_n2 - along * nz) / length,
            )
            for i in range(3):
                j, k = (i + 1) % 3, (i + 2) % 3
                g[1, i] = x[2, j] * by_m[k] - x[2, k] * by_m[j]
                g[2, i] = by_m[j] * x[1, k] - by_m[k] * x[1, j]
            for i in range(3):
                j, k = (i + 1) % 3, (i + 2) % 3
                turn = ZERO
                for v in range(3):
                    turn += x[v, j] * g[v, k] - x[v, k] * g[v, j]
                out[r, first + i] = turn
                out[r, first + 3 + i] = camera[i]
            for v in range(3):
                for i in range(3):
                    u[3 * v + i] = g[v, 0] * rotation[0, i] + g[v, 1] * rotation[1, i] + g[v, 2] * rotation[2, i]
            u0, u1, u2, u3, u4, u5, u6, u7, u8 = u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8]
            b = expression[n]
            for e in range(expressions):
                out[r, at_expression + e] = (
                    u0 * b[0, e] + u1 * b[1, e] + u2 * b[2, e] + u3 * b[3, e] + u4 * b[4, e]
                    + u5 * b[5, e] + u6 * b[6, e] + u7 * b[7, e] + u8 * b[8, e]
                )  # fmt: skip
            if shared:
                b = identity[n]
                for e in range(identities):
                    out[r, e] = (
                        u0 * b[0, e] + u1 * b[1, e] + u2 * b[2, e] + u3 * b[3, e] + u4 * b[4, e]
                        + u5 * b[5, e] + u6 * b[6, e] + u7 * b[7, e] + u8 * b[8, e]
                    )  # fmt: skip
                by_albedo = slope * shading
                detail[r] = by_albedo
                for e in range(reflectances):
                    out[r, identities + e] = by_albedo * reflectance[n, c, e]
                out[r, identities + reflectances] = -(dx[c] * px + dy[c] * py)
            for k in range(4):
                out[r, at_light - 4 + k] = ZERO
            for k in range(27):
                out[r, at_light + k] = ZERO
            for k in range(9):
                out[r, at_light + 9 * c + k] = through * sh[k]
            out[r, last] = residual

        root = np.sqrt(weight / (ONE + error / (colour_scale * colour_scale)))
        for c in range(3):
            detail[row + c] *= root
            for k in range(last + 1):
                out[row + c, k] *= root
        squared[n], seen[n] = error, weight
        total += weight
        row += 3
    return row, total


@jit
def landmark_rows(
    neutral, normal, reliability, eye, centre, pairs, eye_pairs, corners, turn, by_yaw, by_pitch,
    rotation, translation, focal, observed, across, heights, unit, coefficients, expression, identity, centre_identity,
    shared, scale, strength, pair_scale, pair_strengths, out, squared,
):  # fmt: skip
    """Fills the rows of one frame's landmarks, (2 L) and then of the pairs (2 P), each times the root of its weight.

    Args:
        neutral: (L, 3) mm, mean + identity. normal: (L, 3). reliability: (L,). eye: (L,) side or -1. centre: (2, 3) mm,
            of the eyeballs. pairs: (P, 2), corners: (2, 2). turn, by_yaw, by_pitch: (2, 3, 3), the eyeballs' rotations
            and their derivatives. observed: (L, 2) px about the principal point, NaN where unknown. across: (2,), by
            `fitting.energy.terms.across_eyes`. heights: (P',), of the last pairs, `FitState.brows`. unit: 1 / px.
        coefficients: (E,), expression: (L, 3, E), identity: (L, 3, I), centre_identity: (2, 3, I).
        scale, strength, pair_scale: of `fitting.energy.terms.Weights`. pair_strengths: (P,), by its ``by_pair``.
        out: (2 L + 2 P, C + 1) float32, zeroed. squared: (L,) distances over the face's size.
    """
    count, expressions, identities = neutral.shape[0], expression.shape[2], identity.shape[2]
    last = out.shape[1] - 1
    first = last - expressions - 37
    openness = np.zeros(2, np.float32)
    half = eye_pairs // 2
    for side in range(2):
        opening = ZERO
        for k in range(half):
            a, b = pairs[side * half + k]
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
            for e in range(expressions):
                value += expression[n, i, e] * coefficients[e]
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
                at = first + 6 + expressions + 2 * side
                for j in range(3):
                    off = skin[j] - centre[side, j]
                    out[r, at] += off * (m0 * by_yaw[side, 0, j] + m1 * by_yaw[side, 1, j] + m2 * by_yaw[side, 2, j])
                    out[r, at + 1] += off * (
                        m0 * by_pitch[side, 0, j] + m1 * by_pitch[side, 1, j] + m2 * by_pitch[side, 2, j]
                    )
            for e in range(expressions):
                out[r, first + 6 + e] = l0 * expression[n, 0, e] + l1 * expression[n, 1, e] + l2 * expression[n, 2, e]
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

    others = pairs.shape[0] - heights.shape[0]
    for k in range(pairs.shape[0]):
        a, b = pairs[k]
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
