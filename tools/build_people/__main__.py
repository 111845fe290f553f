"""Writes `facemodel/data/people.safetensors` from a statistical model of people.

    python -m tools.build_people FOLDER|FILE

The default model's identity is fitted to that model's mean: to its landmarks, and along the normals to its face's
points (a place and a rotation are free, the size isn't). Then what a standard deviation of each of its components adds
to the surface is solved for at once. The shipped file comes from ICT-FaceKit Light (USC ICT; MIT, data too), whose
components were learnt from scans, and of which the first 20 of 100 were at hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import facemodel
from facemodel.base import FaceModel
from facemodel.bridge.alignment import similarity
from facemodel.bridge.surface import Surface, vertex_normals
from facemodel.importing import import_model
from facemodel.people import People, save_people

INNER = slice(17, 68)  # iBUG 68 without the jaw line
LANDMARK = 3.0  # mm: how far the two models' landmarks are apart
PRECISION = 1000.0  # independent points of a face, over the square of the mm that they are off
ROBUST = 2.0  # mm: points that are farther off along the normal count less
REACH = 6.0  # mm from the other surface, within which a point has a counterpart
ROUNDS = 12


def measure(default: FaceModel, measured: FaceModel) -> People:
    """See the module."""
    triangles, face = default.triangles.numpy(), default.region("face").numpy()
    mean, basis = default.mean.double().numpy(), default.identity_basis.double().numpy()
    marks = lambda m, v: m.landmarks(torch.from_numpy(v), "ibug68")[..., INNER, :].double().numpy()  # noqa: E731
    wanted, points = marks(measured, measured.mean.double().numpy()), _face_points(measured)
    marked = np.stack([marks(default, b) for b in basis])
    found = np.zeros(len(basis))
    _, rotation, shift = similarity(marks(default, mean), wanted)
    for _ in range(ROUNDS):
        laid = (mean + np.tensordot(found, basis, 1)) @ rotation.T + shift
        surface = Surface(laid, triangles, face[triangles].any(1))
        near = surface.nearest(points)
        kept = near.distance < REACH
        corners, shares = triangles[near.triangles[kept]], near.barycentric[kept][..., None]
        moved = (basis[:, corners] * shares).sum(2) @ rotation.T
        normals, at = near.normals[kept], near.positions[kept]
        rows = _along(_with_pose(moved, at - shift), normals)
        gap = ((points[kept] - at) * normals).sum(-1)
        inner = marks(default, laid)
        of_marks = _with_pose(marked @ rotation.T, inner - shift).reshape(len(rows), -1)
        weight = PRECISION / len(points) / (1 + (gap / ROBUST) ** 2)  # what the other hasn't, or has otherwise
        normal = (rows * weight) @ rows.T + of_marks @ of_marks.T / LANDMARK**2 + _prior(len(found))
        right = rows @ (weight * gap) + of_marks @ (wanted - inner).ravel() / LANDMARK**2
        right[6:] -= found
        step = np.linalg.solve(normal, right)
        rotation, shift, found = _turned(step[:3]) @ rotation, shift + step[3:6], found + step[6:]
    # The components' moves, where the default model's vertices are on the other one.
    laid = (mean + np.tensordot(found, basis, 1)) @ rotation.T + shift
    there = Surface(measured.mean.double().numpy(), measured.triangles.numpy()).nearest(laid[face])
    kept = there.distance < REACH
    corners = measured.triangles.numpy()[there.triangles[kept]]
    moves = (measured.identity_basis.double().numpy()[:, corners] * there.barycentric[kept][..., None]).sum(2)
    normals = vertex_normals(laid, triangles)[face][kept]
    rows = _along(_with_pose(basis[:, face][:, kept] @ rotation.T, laid[face][kept] - shift), normals)
    weight = PRECISION / kept.sum()
    modes = np.linalg.solve(weight * rows @ rows.T + _prior(len(found)), weight * rows @ _along(moves, normals).T)
    return People(torch.from_numpy(found), torch.from_numpy(modes.T[:, 6:].copy()))


def _face_points(measured: FaceModel) -> np.ndarray:
    """(N, 3) of the mean's face, within 95 mm of the nose's tip."""
    vertices = measured.mean.double().numpy()
    tip = measured.landmarks(measured.mean, "ibug68")[30].double().numpy()
    face = measured.region("face").numpy()
    return vertices[face & (np.linalg.norm(vertices - tip, axis=1) < 95.0)]


def _with_pose(moves: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(6 + I, N, 3): a turn about each axis, a shift along it, then the coefficients' own moves (I, N, 3)."""
    axes = np.eye(3)
    turns = np.stack([np.cross(axis, points) for axis in axes])
    return np.concatenate([turns, np.broadcast_to(axes[:, None], turns.shape), moves])


def _along(moves: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(K, N) of (K, N, 3)."""
    return (moves * normals).sum(-1)


def _prior(count: int) -> np.ndarray:
    return np.diag(np.r_[np.full(6, 1e-6), np.ones(count)])


def _turned(turn: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(turn).as_matrix()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="a statistical model in any format that can be imported")
    options = parser.parse_args()
    default, measured = facemodel.load(), import_model(options.model)
    people = measure(default, measured)
    print(f"mean: {people.mean.square().mean().sqrt():.2f} a coefficient, root mean square")
    print("modes:", " ".join(f"{mode.norm():.2f}" for mode in people.modes))
    print(save_people(people, default, [f"{measured.name}: {measured.license}"]))


if __name__ == "__main__":
    main()
