"""The UV atlas: the head opened along the back, the face in the middle, mirror-symmetric about u = 0.5.

The skin of the head is a disc once it's cut from the nape over the crown: its outline becomes a rectangle and inside
each vertex is a weighted mean of its neighbours (Tutte's embedding with Floater's mean value weights), which can't fold
since the weights are positive. They are then adapted to the wanted size of each part (Yoshizawa et al. 2004), so that
the face gets most of the area. Eyeballs, eye sockets, mouth cavity, tongue and teeth have charts in a strip below.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse import identity as identity_matrix
from scipy.sparse.linalg import spsolve

from tools.build_model.regions import smooth_step
from tools.build_model.topology import Topology

STRIP = 0.12  # height of the strip with the small charts
MARGIN = 0.004
FACE_SCALE = 3.0  # how much longer than on the back of the head an edge of the face is to be
ROUNDS = 12
RELAXATION = 0.5


def build_uv(topology: Topology, vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uv (U, 2) in [0, 1], v up, and uv_triangles (T, 3) into it."""
    parts = topology.parts
    charts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # triangle numbers, their corners, uv
    cavity = {name: parts[name] | parts[f"{name}_rim"] for name in ("eye_cavity", "mouth_cavity")}
    kind = np.full(len(triangles), "head", dtype="U12")
    for name in ("tongue", "upper_teeth", "lower_teeth", "eyes"):
        kind[parts[name][triangles].all(1)] = name
    for name, mask in cavity.items():
        kind[mask[triangles].all(1) & parts[name][triangles].any(1)] = name
    left = vertices[triangles][..., 0].mean(1) > 0

    head = np.nonzero(kind == "head")[0]
    charts.append((head, *head_chart(topology, vertices, triangles[head])))
    eye = np.nonzero((kind == "eyes") & left)[0]
    socket = np.nonzero((kind == "eye_cavity") & left)[0]
    for part, uv in (
        (eye, _eyeball_chart(topology, (0.93, STRIP / 2))),
        (socket, _disc_chart(vertices, triangles[socket], (0.80, STRIP / 2))),
    ):
        twins = np.nonzero((kind == kind[part[0]]) & ~left)[0]
        charts += [(part, triangles[part], uv), (twins, triangles[twins], _mirrored(uv, topology))]
    mouth = np.nonzero(kind == "mouth_cavity")[0]
    disc = _disc_chart(vertices, triangles[mouth], (0.5, STRIP / 2))
    charts.append((mouth, triangles[mouth], _symmetric(disc, topology)))
    tongue = np.nonzero(kind == "tongue")[0]
    halves = [(tongue, _disc_chart(vertices, triangles[tongue], (0.5, STRIP / 2)), 0.08)]
    for name, height in (("upper_teeth", 0.75), ("lower_teeth", 0.25)):
        teeth = np.nonzero(kind == name)[0]
        halves.append((teeth, _strip_chart(vertices, parts[name], (0.5, height * STRIP)), 0.15))
    for part, uv, offset in halves:  # each half moves to its side, so that these charts mirror each other as well
        for half, sign in ((part[left[part]], 1), (part[~left[part]], -1)):
            charts.append((half, triangles[half], _symmetric(uv, topology) + [sign * offset, 0]))
    return _joined(len(triangles), charts)


def _mirrored(uv: np.ndarray, topology: Topology) -> np.ndarray:
    return uv[topology.mirror] * [-1, 1] + [1, 0]


def _symmetric(uv: np.ndarray, topology: Topology) -> np.ndarray:
    return (uv + _mirrored(uv, topology)) / 2


def _joined(count, charts):
    uv, index, start = [], np.full((count, 3), -1), 0
    for numbers, corners, places in charts:
        used, local = np.unique(corners, return_inverse=True)
        uv.append(places[used])
        index[numbers] = local.reshape(-1, 3) + start
        start += len(used)
    return np.concatenate(uv), index


# --- the head ---------------------------------------------------------------------------------------------------


def head_chart(topology: Topology, vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (T, 3) of the cut mesh and uv (V + cut, 2) of its vertices."""
    corners, doubled = _cut(topology, vertices, triangles)
    position = np.concatenate([vertices, vertices[doubled]])
    twin = _mirror_of_cut(topology, doubled)
    loops = boundary_loops(corners)
    outline = max(loops, key=len)
    where, fixed = _rectangle(outline, position, len(vertices), doubled)
    holes = [loop for loop in loops if loop is not outline]
    edges, weight = _mean_value_weights(position, corners)
    spokes, stiff = _spokes(holes, edges, weight, len(position))
    edges, weight = np.concatenate([edges, spokes]), np.concatenate([weight, stiff])
    wanted = np.concatenate([1 + (FACE_SCALE - 1) * _face_field(position), np.ones(len(holes))])
    for _ in range(ROUNDS):
        uv = _solve(len(position) + len(holes), edges, weight, where, fixed)
        strain = _strain(uv, position, corners, len(uv)) * wanted
        strain[len(position) :] = [strain[loop].mean() for loop in holes]
        weight = weight / strain[edges[:, 1]] ** RELAXATION
    uv = uv[: len(position)]
    uv = (uv + (uv[twin] * [-1, 1] + [1, 0])) / 2
    return corners, uv


def _face_field(position: np.ndarray) -> np.ndarray:
    x, y, z = position.T
    return smooth_step(z, 5, 50) * smooth_step(y, -105, -80) * smooth_step(y, 115, 85)


def _cut(topology, vertices, triangles) -> tuple[np.ndarray, np.ndarray]:
    """The triangles with the midline's vertices behind the crown doubled for those right of it (the subject's left)."""
    middle = topology.mirror == np.arange(topology.count)
    x, y, z = vertices.T
    used = np.zeros(topology.count, bool)
    used[triangles] = True
    doubled = np.nonzero(middle & used & (z < 20) & (y > -200))[0]
    # the foremost one ends the cut and isn't doubled
    front = doubled[np.argmax(z[doubled])]
    doubled = doubled[doubled != front]
    number = np.arange(topology.count)
    number[doubled] = topology.count + np.arange(len(doubled))
    left = x[triangles].mean(1) > 0
    return np.where(left[:, None], number[triangles], triangles), doubled


def _mirror_of_cut(topology, doubled) -> np.ndarray:
    extra = topology.count + np.arange(len(doubled))
    twin = np.concatenate([topology.mirror, doubled])
    twin[doubled] = extra
    return twin


def boundary_loops(polygons: np.ndarray) -> list[list[int]]:
    """The closed chains of vertices along the open edges of triangles or quads (N, 3 or 4), in their direction."""
    directed = np.concatenate([np.stack([polygons[:, k - 1], polygons[:, k]], 1) for k in range(polygons.shape[1])])
    present = set(map(tuple, directed.tolist()))
    following = {a: b for a, b in directed.tolist() if (b, a) not in present}
    loops = []
    while following:
        start, loop = min(following), []
        at = start
        while at in following:
            loop.append(at)
            at = following.pop(at)
        loops.append(loop)
    return loops


def _rectangle(outline, position, count, doubled) -> tuple[np.ndarray, np.ndarray]:
    """The outline's vertices and their places on the border of the rectangle above the strip.

    The neck's edge is the bottom; the cut is the sides, from the nape to the crown, and the top, from there forward.
    """
    copies = set(range(count, count + len(doubled)))
    originals = set(doubled.tolist())
    right_side = [v for v in outline if v in copies]
    front = next(v for v in outline if v not in copies and v not in originals and position[v, 1] > 0)
    neck = [v for v in outline if v not in copies and v not in originals and v != front]
    low, high = STRIP + MARGIN, 1.0 - MARGIN
    place: dict[int, tuple[float, float]] = {front: (0.5, high)}
    for ids, edge in (
        (sorted(right_side, key=lambda v: _up_the_back(position[v])), 1.0 - MARGIN),
        (sorted(originals, key=lambda v: _up_the_back(position[v])), MARGIN),
    ):
        chain = [*ids, front]
        run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(position[chain], axis=0), axis=1))])
        run /= run[-1]
        corner = 0.55
        for v, t in zip(ids, run):
            if t <= corner:
                place[v] = (edge, low + (high - low) * t / corner)
            else:
                place[v] = (edge + (0.5 - edge) * (t - corner) / (1 - corner), high)
    nape = min(originals, key=lambda v: position[v, 1])
    order = np.array([np.arctan2(position[v, 0], position[v, 2] + 40) for v in neck])
    chain = [nape, *[neck[i] for i in np.argsort(order)], nape]
    run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(position[chain], axis=0), axis=1))])
    for v, t in zip(chain[1:-1], run[1:-1] / run[-1]):
        place[v] = (MARGIN + (1 - 2 * MARGIN) * t, low)
    index = np.array(sorted(place))
    return index, np.array([place[v] for v in index])


def _up_the_back(p: np.ndarray) -> float:
    """Grows along the midline from the nape over the back of the head to the forehead."""
    return -float(np.arctan2(p[2] + 15, 20 - p[1]) % (2 * np.pi))


def _mean_value_weights(position, triangles) -> tuple[np.ndarray, np.ndarray]:
    """Directed edges (E, 2) and Floater's mean value weights of the second vertex in the first one's balance."""
    count = len(position)
    rows, columns, values = [], [], []
    for k in range(3):
        i, j, m = (triangles[:, (k + s) % 3] for s in range(3))
        to_j, to_m = position[j] - position[i], position[m] - position[i]
        length_j, length_m = np.linalg.norm(to_j, axis=1), np.linalg.norm(to_m, axis=1)
        cosine = (to_j * to_m).sum(1) / np.maximum(length_j * length_m, 1e-9)
        half = np.tan(np.arccos(np.clip(cosine, -0.999, 0.999)) / 2)
        rows += [i, i]
        columns += [j, m]
        values += [half / np.maximum(length_j, 0.05), half / np.maximum(length_m, 0.05)]
    matrix = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count))
    matrix = matrix.tocsr().tocoo()
    return np.stack([matrix.row, matrix.col], 1), matrix.data


def _strain(uv, position, triangles, count) -> np.ndarray:
    """(count,) How many times larger a vertex's surroundings are in space than in uv, relative to the mean."""
    a, b, c = (position[triangles[:, k]] for k in range(3))
    space = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    p, q, r = (uv[triangles[:, k]] for k in range(3))
    flat = np.abs((q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0])
    total, area = np.full(count, 1e-9), np.full(count, 1e-9)
    for k in range(3):
        total += np.bincount(triangles[:, k], space, count)
        area += np.bincount(triangles[:, k], flat, count)
    strain = np.sqrt(total / np.maximum(area, 1e-12))
    used = np.unique(triangles)
    return np.clip(strain / np.exp(np.log(strain[used]).mean()), 0.05, 20)


def _spokes(holes, edges, weight, count) -> tuple[np.ndarray, np.ndarray]:
    """Edges between a new vertex in each hole (eyes, mouth) and its rim, both ways, and their weights."""
    mean = np.bincount(edges[:, 0], weight, count) / np.maximum(np.bincount(edges[:, 0], minlength=count), 1)
    spokes, stiff = [], []
    for k, loop in enumerate(holes):
        for v in loop:
            spokes += [(v, count + k), (count + k, v)]
            stiff += [mean[v], 1.0]
    return np.array(spokes), np.array(stiff)


def _solve(count, edges, weight, fixed, places) -> np.ndarray:
    """Places (count, 2) at which each free vertex is the weighted mean of its neighbours; others stay at zero.

    ``edges`` (E, 2) are directed: the second vertex pulls the first.
    """
    free, linked = np.ones(count, bool), np.zeros(count, bool)
    free[fixed] = False
    linked[edges] = True
    share = weight / np.bincount(edges[:, 0], weight, count)[edges[:, 0]]
    matrix = coo_matrix((share, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    uv = np.zeros((count, 2))
    uv[fixed] = places
    unknown = np.nonzero(free & linked)[0]
    system = identity_matrix(len(unknown), format="csr") - matrix[unknown][:, unknown]
    uv[unknown] = spsolve(system.tocsc(), matrix[unknown][:, fixed] @ places)
    return uv


# --- the small charts --------------------------------------------------------------------------------------------


def _eyeball_chart(topology: Topology, middle) -> np.ndarray:
    """The left eyeball, a disc: the pole in the middle, the distance from it growing with the polar angle."""
    radius = 0.48 * STRIP * topology.eye_polar / np.pi
    around = np.arctan2(topology.eye_directions[:, 1], topology.eye_directions[:, 0])
    uv = np.zeros((topology.count, 2))
    uv[topology.eye_vertices[0]] = np.stack([radius * np.cos(around), radius * np.sin(around)], 1) + middle
    return uv


def _disc_chart(vertices, triangles, middle) -> np.ndarray:
    """A spring network in a circle on which the part's edge lies, its top above, oriented as seen from outside."""
    loops = boundary_loops(triangles)
    if not loops:  # closed: opened at the back, the triangles there become slivers at the circle's edge
        depth = vertices[triangles][..., 2].max(1)
        triangles = triangles[depth > depth.min() + 6.0]
        loops = boundary_loops(triangles)
    loop = max(loops, key=len)
    x, y = vertices[loop, 0], vertices[loop, 1]
    middle_x = 0.0 if x.min() < 0 < x.max() else x.mean()
    top = int(np.argmin(np.abs(x - middle_x) + 1e3 * (y < y.mean())))
    loop = loop[top:] + loop[:top]
    run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(vertices[loop + loop[:1]], axis=0), axis=1))])
    angle = np.pi / 2 + 2 * np.pi * run[:-1] / run[-1]
    places = 0.47 * STRIP * np.stack([np.cos(angle), np.sin(angle)], 1) + middle
    edges, weight = _mean_value_weights(vertices, triangles)
    uv = np.tile(np.array([middle[0], middle[1] + 0.47 * STRIP]), (len(vertices), 1))
    solved = _solve(len(vertices), edges, weight, np.array(loop), places)
    return np.where(np.isin(np.arange(len(vertices)), edges)[:, None], solved, uv)


def _strip_chart(vertices, mask, middle) -> np.ndarray:
    """Teeth: seen from the front, flattened sideways along the arch."""
    uv = np.zeros((len(vertices), 2))
    x, y, z = vertices[mask].T
    along = np.arctan2(x, z - z.min() + 5)
    uv[mask, 0] = middle[0] + 0.08 * along / np.abs(along).max()
    uv[mask, 1] = middle[1] + 0.2 * STRIP * (y - y.mean()) / np.abs(y - y.mean()).max()
    return uv
