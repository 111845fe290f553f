"""The default model's expressions on another model's mesh: deformation transfer, then lids that meet.

Sumner and Popovic, "Deformation transfer for triangle meshes" (SIGGRAPH 2004), as a Poisson problem (Botsch et al.,
"Deformation transfer for detail-preserving surface editing", 2006): each triangle is stretched and turned as the
default model's is there, and one factorisation serves all expressions. What has no counterpart goes along with its
neighbours and comes to rest; eyeballs stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.alignment import similarity
from facemodel.bridge.registration import SOCKET, outer_skin
from facemodel.bridge.surface import Surface
from facemodel.correspondence import Correspondence


@dataclass(frozen=True)
class TransferPolicy:
    """Lengths in millimetres."""

    wide: float = 12.0  # what is larger keeps the default's displacements, what is smaller its stretches and turns
    inside: float = 0.1  # how much say a triangle has that isn't on the outer skin
    reach: float = 15.0  # within which the mouth's and the eyes' inside follow the default's
    rest: float = 40.0  # from what has a counterpart to where the surface rests


POLICY = TransferPolicy()
AT_ONCE = 13  # expressions that are solved for together, for the memory's sake


def transfer(
    default: FaceModel, model: FaceModel, found: Correspondence, names: Sequence[str], policy: TransferPolicy = POLICY
) -> Tensor:
    """(N, V, 3) mm: the displacements of the default model's expressions ``names``, at the other model's mean.

    Of models with joints: at rest, before these turn.
    """
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    laid, count = found.registered.double().numpy(), len(model.mean)
    skin = outer_skin(model)
    matched = skin & found.matched().numpy()
    eyes = np.zeros(count, dtype=bool)
    for index in model.eyes.vertices if model.eyes is not None else ():
        eyes[index.numpy()] = True

    # Which triangle of the default model each triangle is like.
    on_skin, like = skin[triangles].all(1), matched[triangles].any(1)
    corners = vertices[triangles]
    ours = Surface(laid, default.triangles.numpy(), outer_skin(default)[default.triangles.numpy()].all(1))
    nearest = ours.nearest(corners.mean(1), _normals(corners)).triangles

    # Where the surface goes as a whole: by the correspondence. What has no counterpart is free near what has one, and
    # held at rest far from it.
    apart = np.linalg.norm(found.on_default.pick(found.registered, default.triangles).numpy() - vertices, axis=-1)
    held = np.where(skin, found.on_default.weights.numpy(), np.clip(1 - apart / policy.reach, 0, 1)) * ~eyes
    far = np.zeros(count)
    if matched.any():
        far = np.clip(cKDTree(vertices[matched]).query(vertices)[0] / policy.rest, 0, 1)
    fixed = np.where(eyes, 1.0, held + (1 - held) * far)
    share = held / np.maximum(fixed, 1e-9)

    slopes, area = gradient(vertices, triangles)
    say = np.where(on_skin, 1.0, policy.inside) * area
    weighted = slopes.T @ sparse.diags(np.repeat(say, 3))
    mass = np.zeros(count)
    np.add.at(mass, triangles.ravel(), np.repeat(say / 3, 3))
    anchor = mass * fixed / policy.wide**2 + 1e-9
    solver = splu(
        (weighted @ slopes + sparse.diags(anchor)).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        options={"SymmetricMode": True},
    )
    chosen = [default.expression_index(n) for n in names]
    face = default.region("face").numpy()
    scale = similarity(default.mean.double().numpy()[face], laid[face])[0]
    out = np.zeros((len(names), count, 3))
    for first in range(0, len(names), AT_ONCE):
        moves = default.expression_basis[chosen[first : first + AT_ONCE]].double()
        told = scale * found.on_default.pick(moves, default.triangles).numpy() * share[:, None]
        wanted = stretches(default, moves.numpy())[:, nearest] * (on_skin & like)[:, None, None]
        for k in range(len(moves)):
            right = weighted @ wanted[k].reshape(-1, 3) + anchor[:, None] * told[k]
            out[first + k] = solver.solve(right)
    out[:, eyes | model.region(SOCKET).numpy()] = 0
    return torch.from_numpy(out).float()


def gradient(vertices: np.ndarray, triangles: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """(3 T, V): attributes of vertices to their derivatives along x, y, z within each triangle; areas (T,)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    double = np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    normal = normal / double
    hats = np.stack([np.cross(normal, edge) / double for edge in (c - b, a - c, b - a)], 1)  # (T, 3 corners, 3)
    rows = 3 * np.arange(len(triangles))[:, None, None] + np.arange(3)
    columns = np.broadcast_to(triangles[:, :, None], hats.shape)
    matrix = sparse.csr_matrix(
        (hats.ravel(), (np.broadcast_to(rows, hats.shape).ravel(), columns.ravel())),
        (3 * len(triangles), len(vertices)),
    )
    return matrix, double[:, 0] / 2


def stretches(model: FaceModel, moves: np.ndarray) -> np.ndarray:
    """(K, T, 3, 3): derivatives by x, y, z (rows) of displacements (K, V, 3) of the mean, in each triangle.

    Along the normal, that of the unit normal, which turns with the triangle.
    """
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    slopes, _ = gradient(vertices, triangles)
    still = _normals(vertices[triangles])
    found = np.empty((len(moves), len(triangles), 3, 3))
    for k, move in enumerate(moves):
        turned = _normals((vertices + move)[triangles]) - still
        found[k] = (slopes @ move).reshape(-1, 3, 3) + still[:, :, None] * turned[:, None]
    return found


def _normals(corners: np.ndarray) -> np.ndarray:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
