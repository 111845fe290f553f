"""Compiled CPU kernel of the photometric term; its reference in plain torch is `fitting.energy.photometric.reference`.

Imported only where it's used, since Numba takes a while to import. It writes each row once, weighted, without
temporaries of the size of the Jacobian, and repeats the reference's arithmetic line by line.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foundation.compiled import jit
from geometry.spherical_harmonics import C0, C1, C2, C3, C4

# Loops and branches are what this function is about.
# ruff: noqa: PLR0912, PLR0915

F = np.float32
K0, K1, K2, K3, K4 = F(C0), F(C1), F(C2), F(C3), F(C4)
SLOPE_LOW, SLOPE_HIGH, POWER = F(12.92), F(1.055 / 2.4), F(1 / 2.4)
KNEE, DARK, ONE, TWO, THREE, HALF, ZERO = F(0.0031308), F(1e-4), F(1), F(2), F(3), F(0.5), F(0)
TINY, LIFT, GAIN = F(1e-12), F(0.055), F(1.055)


class Samples(NamedTuple):
    """N samples of one frame."""

    nine: np.ndarray  # (N, 9) float32, position and tangents, mm, model axes, with identity and motion
    albedo: np.ndarray  # (N, 3) linear
    visible: np.ndarray  # (N,)


class Bases(NamedTuple):
    motion: np.ndarray  # (N, 9, M)
    identity: np.ndarray  # (N, 9, I)
    reflectance: np.ndarray  # (N, 3, A)


class Picture(NamedTuple):
    """One level of a frame's pyramid."""

    image: np.ndarray  # (S, S, 9) colours and derivatives
    offset: np.ndarray  # (2,) principal point minus the crop's corner
    scale: float  # level px a frame px


class Columns(NamedTuple):
    shared: bool  # whether identity, reflectance and focal length have columns
    compact: bool  # leave unseen samples out
    first: int  # column of the rotation


class Out(NamedTuple):
    rows: np.ndarray  # (3 N, C + 1) float32, zeroed where not compact; times the root of the weight, residual last
    detail: np.ndarray  # (3 N,) derivative by the sample's own albedo, times the root of the weight
    squared: np.ndarray  # (N,) error
    seen: np.ndarray  # (N,) weight before the robust one, 0 where the sample isn't seen


@jit
def photometric_rows(samples, bases, picture, pose, light, colour_scale, columns, outputs):
    """Fills the rows of one frame; returns how many, and the sum of their weights before the square root.

    Args:
        samples: `Samples`. bases: `Bases`. picture: `Picture`. pose: `Pose`. light: (9, 3). columns: `Columns`.
        outputs: `Out`.
    """
    nine, albedo, visible = samples.nine, samples.albedo, samples.visible
    motion, identity, reflectance = bases.motion, bases.identity, bases.reflectance
    image, offset, scale = picture.image, picture.offset, picture.scale
    rotation, translation, focal = pose.rotation, pose.translation, pose.focal
    shared, compact, first = columns.shared, columns.compact, columns.first
    out, detail, squared, seen = outputs.rows, outputs.detail, outputs.squared, outputs.seen
    size = image.shape[0]
    motions, identities, reflectances = motion.shape[2], identity.shape[2], reflectance.shape[2]
    last = out.shape[1] - 1
    border = ONE - TWO / F(size)
    at_motion = first + 6
    at_light = at_motion + motions + 4
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
            b = motion[n]
            for e in range(motions):
                out[r, at_motion + e] = (
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
