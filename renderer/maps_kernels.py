"""Compiled CPU kernels of the maps, one pass over the pixels each. Their oracle is ``maps_reference``.

Inputs and outputs are flat over the pixels of one picture: faces (P,) int64 without the picture's offset, -1 empty;
bary (P, 3) float32; out (P, C) float32, zero where empty.
"""

from __future__ import annotations

import math

import numpy as np

from foundation.compiled import jit

# ruff: noqa: PLR0917


@jit
def vertex_normals(points, triangles, normals):
    """Unit normals in camera-aligned model axes (V, 3) float32 out, from points (V, 3) in the camera frame."""
    normals[:] = 0.0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x1, y1, z1 = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        x2, y2, z2 = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = y1 * z2 - z1 * y2, x1 * z2 - z1 * x2, y1 * x2 - x1 * y2  # y and z with their sign changed
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for k in range(normals.shape[0]):
        length = math.sqrt(normals[k, 0] ** 2 + normals[k, 1] ** 2 + normals[k, 2] ** 2)
        if length > 0.0:
            for i in range(3):
                normals[k, i] /= length


@jit
def interpolated(values, triangles, bary, t, p):
    """The three numbers of values (V, 3) at pixel p, which shows triangle t."""
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    wa, wb, wc = bary[p, 0], bary[p, 1], bary[p, 2]
    return (
        wa * values[a, 0] + wb * values[b, 0] + wc * values[c, 0],
        wa * values[a, 1] + wb * values[b, 1] + wc * values[c, 1],
        wa * values[a, 2] + wb * values[b, 2] + wc * values[c, 2],
    )


@jit
def blank(out, p):
    """Pixel p, which shows nothing, is zero."""
    out[p, 0] = 0.0
    out[p, 1] = 0.0
    out[p, 2] = 0.0


@jit
def shade_pixels(faces, bary, triangles, normals, light, table, out):
    """Albedo times light, in sRGB; what is in ``out`` is the albedo.

    normals: (V, 3) float32. light: (9, 3) float32, the coefficients times the basis' constants.
    table: float32, sRGB at the squares of even steps from 0 to 1.
    """
    last = table.shape[0] - 1
    for p in range(faces.shape[0]):
        t = faces[p]
        if t < 0:
            blank(out, p)
            continue
        x, y, z = interpolated(normals, triangles, bary, t, p)
        squared = x * x + y * y + z * z
        if squared > np.float32(0.0):
            scale = np.float32(1.0) / np.sqrt(squared)
            x, y, z = x * scale, y * scale, z * scale
        xy, yz, xz, zz, xx = x * y, y * z, x * z, np.float32(3.0) * z * z - np.float32(1.0), x * x - y * y
        for k in range(3):
            radiance = light[0, k] + light[1, k] * y + light[2, k] * z + light[3, k] * x
            radiance += light[4, k] * xy + light[5, k] * yz + light[6, k] * zz + light[7, k] * xz + light[8, k] * xx
            radiance = min(max(radiance * out[p, k], np.float32(0.0)), np.float32(1.0))
            position = np.sqrt(radiance) * np.float32(last)
            step = min(int(position), last - 1)
            out[p, k] = table[step] + (position - np.float32(step)) * (table[step + 1] - table[step])


@jit
def texture_pixels(faces, bary, triangles, places, texture, out):
    """A texture (S, R, 3) float32, bilinear between texels, its border repeated.

    places: (W, 2) float32, column and row of texels, whose centres are whole numbers. triangles: (T, 3), of them.
    """
    rows, columns = texture.shape[0], texture.shape[1]
    for p in range(faces.shape[0]):
        t = faces[p]
        if t < 0:
            blank(out, p)
            continue
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = bary[p, 0], bary[p, 1], bary[p, 2]
        x = wa * places[a, 0] + wb * places[b, 0] + wc * places[c, 0]
        y = wa * places[a, 1] + wb * places[b, 1] + wc * places[c, 1]
        x = min(max(x, np.float32(0.0)), np.float32(columns - 1))
        y = min(max(y, np.float32(0.0)), np.float32(rows - 1))
        j, i = int(x), int(y)
        right, below = min(j + 1, columns - 1), min(i + 1, rows - 1)
        x, y = x - np.float32(j), y - np.float32(i)
        for k in range(3):
            upper = texture[i, j, k] + x * (texture[i, right, k] - texture[i, j, k])
            lower = texture[below, j, k] + x * (texture[below, right, k] - texture[below, j, k])
            out[p, k] = upper + y * (lower - upper)


@jit
def normal_pixels(faces, bary, triangles, normals, out):
    """(n + 1) / 2, with normals (V, 3) as in ``shade_pixels``."""
    for p in range(faces.shape[0]):
        t = faces[p]
        if t < 0:
            blank(out, p)
            continue
        x, y, z = interpolated(normals, triangles, bary, t, p)
        scale = 0.5 / max(math.sqrt(x * x + y * y + z * z), 1e-12)
        out[p, 0] = x * scale + 0.5
        out[p, 1] = y * scale + 0.5
        out[p, 2] = z * scale + 0.5


@jit
def eye_pixels(faces, bary, triangles, zbuf, on_eyeball, directions, iris_angle, focal_radius, out):
    """White eyeball, blue iris; see ``renderer.eyes``.

    zbuf: (P,) float32 mm. on_eyeball: (T,) bool. directions: (V, 3) float32. focal_radius: px mm.
    """
    for p in range(faces.shape[0]):
        t = faces[p]
        inside, outside = 0.0, 0.0
        if t >= 0 and on_eyeball[t]:
            x, y, z = interpolated(directions, triangles, bary, t, p)
            angle = math.atan2(math.sqrt(x * x + y * y), z)
            inside = min(max(0.5 + (iris_angle - angle) * focal_radius / zbuf[p], 0.0), 1.0)
            outside = 1.0 - inside
        out[p, 0] = outside
        out[p, 1] = outside
        out[p, 2] = outside + inside


@jit
def average_blocks(picture, factor, out):
    """Means of factor x factor pixels: picture (H factor, W factor, C) -> out (H, W, C)."""
    scale = np.float32(1.0 / (factor * factor))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                total = np.float32(0.0)
                for di in range(factor):
                    for dj in range(factor):
                        total += picture[i * factor + di, j * factor + dj, k]
                out[i, j, k] = total * scale
