"""Compiled CPU kernels. Imported only where they are used, since Numba takes a while to import.

They are compiled at first use and cached on disk beside this file (or in NUMBA_CACHE_DIR).
Each releases the GIL, so that pictures of a batch are drawn in parallel by ordinary threads.
"""

from __future__ import annotations

import math

import numpy as np

from foundation.compiled import jit

FAR_OUT = 1e9  # px; vertices that project farther out than this count as not in front of the camera
THINNEST = 1e-6  # px^2, twice the area below which a triangle is dropped, as PyTorch3D drops those of 1e-8 NDC^2
REACH = 0.5 + 1e-9  # px from a pixel's border to its centre, and a little more: no cracks along shared edges

# Loops and branches are what these functions are about; calls into them are positional.
# ruff: noqa: PLR0912, PLR0915, PLR0917


@jit
def rasterize_picture(points, triangles, fx, fy, cx, cy, near, offset, pix_to_face, zbuf, bary):
    """Draws one picture; returns -1, or the first triangle that refers to a vertex that doesn't exist.

    Args:
        points: (V, 3) float32, mm, camera frame. triangles: (T, 3) int64.
        fx, fy, cx, cy: px. near: mm, triangles with a vertex at or before this depth are dropped.
        offset: added to the triangle's number in the output (n * T).
        pix_to_face: (H, W) int64 out. zbuf: (H, W) float32 out. bary: (H, W, 3) float32 out.

    Scan lines: on each row of pixel centres the three edges bound the span that is inside; 1/z is linear on the
    screen, so one plane equation serves depth. Barycentrics are worked out once at the end, for the triangle that
    won. Everything between is float64: exact enough that no pixel is lost between neighbours.
    """
    height, width = pix_to_face.shape
    n_points = points.shape[0]
    screen = np.empty((n_points, 3), np.float64)
    for k in range(n_points):
        z = np.float64(points[k, 2])
        screen[k, 2] = 0.0
        if z > near:
            u = fx * points[k, 0] / z + cx
            v = fy * points[k, 1] / z + cy
            if abs(u) < FAR_OUT and abs(v) < FAR_OUT:  # false for NaN as well
                screen[k, 0] = u
                screen[k, 1] = v
                screen[k, 2] = 1.0 / z

    nearest = np.zeros((height, width), np.float64)  # 1/z
    winner = np.empty((height, width), np.int32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if a < 0 or b < 0 or c < 0 or a >= n_points or b >= n_points or c >= n_points:
            return t
        za, zb, zc = screen[a, 2], screen[b, 2], screen[c, 2]
        if za <= 0.0 or zb <= 0.0 or zc <= 0.0:
            continue
        xa, xb, xc = screen[a, 0], screen[b, 0], screen[c, 0]
        left = max(math.ceil(min(xa, xb, xc) - 0.5), 0)
        right = min(math.floor(max(xa, xb, xc) - 0.5), width - 1)
        if left > right:
            continue
        ya, yb, yc = screen[a, 1], screen[b, 1], screen[c, 1]
        top = max(math.ceil(min(ya, yb, yc) - 0.5), 0)
        bottom = min(math.floor(max(ya, yb, yc) - 0.5), height - 1)
        if top > bottom:
            continue
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if abs(area) < THINNEST:
            continue
        # Each edge crosses the row of pixel centres at x = cut + row * step, to the left or right of the inside.
        v = top + 0.5
        sign = 1.0 if area > 0.0 else -1.0
        left0, left0_step, left1, left1_step = -FAR_OUT, 0.0, -FAR_OUT, 0.0
        right0, right0_step, right1, right1_step = FAR_OUT, 0.0, FAR_OUT, 0.0
        rise = (yb - ya) * sign
        if rise != 0.0:
            step = (xb - xa) / (yb - ya)
            cut = xa + (v - ya) * step
            if rise < 0.0:
                left0, left0_step = cut, step
            else:
                right0, right0_step = cut, step
        rise = (yc - yb) * sign
        if rise != 0.0:
            step = (xc - xb) / (yc - yb)
            cut = xb + (v - yb) * step
            if rise < 0.0:
                left1, left1_step = left0, left0_step
                left0, left0_step = cut, step
            else:
                right1, right1_step = right0, right0_step
                right0, right0_step = cut, step
        rise = (ya - yc) * sign
        if rise != 0.0:
            step = (xa - xc) / (ya - yc)
            cut = xc + (v - yc) * step
            if rise < 0.0:
                left1, left1_step = cut, step
            else:
                right1, right1_step = cut, step
        z_x = ((yb - yc) * (za - zc) + (yc - ya) * (zb - zc)) / area
        z_y = ((xc - xb) * (za - zc) + (xa - xc) * (zb - zc)) / area
        z_row = zc + (0.5 - xc) * z_x + (v - yc) * z_y
        for i in range(top, bottom + 1):
            first = math.ceil(min(max(left0 - REACH, left1 - REACH, left), right + 1))
            last = math.floor(max(min(right0 - 1.0 + REACH, right1 - 1.0 + REACH, right), left - 1))
            for j in range(first, last + 1):
                z = z_row + j * z_x
                if z > nearest[i, j]:
                    nearest[i, j] = z
                    winner[i, j] = t
            z_row += z_y
            left0 += left0_step
            left1 += left1_step
            right0 += right0_step
            right1 += right1_step

    for i in range(height):
        v = i + 0.5
        for j in range(width):
            z = nearest[i, j]
            if z == 0.0:
                pix_to_face[i, j] = -1
                zbuf[i, j] = -1.0
                bary[i, j, 0] = -1.0
                bary[i, j, 1] = -1.0
                bary[i, j, 2] = -1.0
                continue
            t = winner[i, j]
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            u = j + 0.5
            xa, ya = screen[a, 0] - u, screen[a, 1] - v
            xb, yb = screen[b, 0] - u, screen[b, 1] - v
            xc, yc = screen[c, 0] - u, screen[c, 1] - v
            wa, wb, wc = xb * yc - xc * yb, xc * ya - xa * yc, xa * yb - xb * ya
            area = wa + wb + wc
            if area < 0.0:
                wa, wb, wc, area = -wa, -wb, -wc, -area
            wa = max(wa, 0.0) * screen[a, 2]
            wb = max(wb, 0.0) * screen[b, 2]
            wc = max(wc, 0.0) * screen[c, 2]
            scale = 1.0 / (wa + wb + wc)
            pix_to_face[i, j] = offset + t
            zbuf[i, j] = area * scale
            bary[i, j, 0] = wa * scale
            bary[i, j, 1] = wb * scale
            bary[i, j, 2] = wc * scale
    return -1


@jit
def interpolate_pixels(faces, bary, triangles, attributes, out):
    """out[p] = sum over corners of bary[p, k] * attributes[n, triangles[t, k]], zero where faces[p] is -1.

    faces: (P,) int64 packed n * T + t. bary: (P, 3) float32. triangles: (T, 3) int64.
    attributes: (M, V, C) float32, M = 1 shared by all pictures. out: (P, C) float32.
    """
    count = triangles.shape[0]
    channels = attributes.shape[2]
    shared = attributes.shape[0] == 1
    for p in range(faces.shape[0]):
        face = faces[p]
        if face < 0:
            for k in range(channels):
                out[p, k] = 0.0
            continue
        n = face // count
        t = face - n * count
        if shared:
            n = 0
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = bary[p, 0], bary[p, 1], bary[p, 2]
        for k in range(channels):
            out[p, k] = wa * attributes[n, a, k] + wb * attributes[n, b, k] + wc * attributes[n, c, k]
