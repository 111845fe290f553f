"""Writes `facemodel/data/people.safetensors` from a statistical model of people.

    python -m tools.build_people FOLDER|FILE

The default model is registered to that model's mean, as an import does it. Then its identity coefficients are solved
for, by least squares over the face's vertices: of the mean (a place and a rotation are free, the size isn't), and of
what a standard deviation of each of the model's components adds. The shipped file comes from ICT-FaceKit Light (USC
ICT; MIT, data too), whose components were learnt from scans, and of which the first 20 of 100 were at hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import facemodel
from facemodel.base import FaceModel
from facemodel.bridge.registration import register
from facemodel.correspondence import CORRESPONDING, Placement
from facemodel.importing import import_model
from facemodel.people import People, save_people
from fitting.conversion.steps import rigid

PRECISION = 300.0  # independent points of a face, over the square of the mm that corresponding ones are off


def measure(default: FaceModel, measured: FaceModel, place: Placement) -> People:
    """``place``: where the default model's vertices are on the one that knows people."""
    there = (default.region("face") & (place.weights >= CORRESPONDING)).nonzero().flatten()
    corners, shares = measured.triangles[place.triangles[there]], place.barycentric[there].double()[..., None]
    theirs = lambda values: (values.double()[..., corners, :] * shares).sum(-2)  # noqa: E731
    mean, basis, wanted = default.mean[there].double(), default.identity_basis[:, there].double(), theirs(measured.mean)
    even = torch.ones(len(there), dtype=torch.float64)
    found = torch.zeros(len(basis), dtype=torch.float64)
    for _ in range(10):
        rotation, shift = rigid(wanted, mean + torch.einsum("i,ivk->vk", found, basis), even)
        found = _solve(basis, (wanted @ rotation.T + shift - mean)[None])[0]
    return People(found, _solve(basis, theirs(measured.identity_basis) @ rotation.T))


def _solve(basis: Tensor, moves: Tensor) -> Tensor:
    """(K, I) coefficients that explain (K, N, 3) moves of points but for a shift of each, with a prior of 1."""
    a, b = ((x - x.mean(1, keepdim=True)).flatten(1) for x in (basis, moves))
    weight = PRECISION / moves.shape[1]
    return torch.linalg.solve(weight * a @ a.T + torch.eye(len(a), dtype=a.dtype), weight * a @ b.T).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="a statistical model in any format that can be imported")
    options = parser.parse_args()
    default, measured = facemodel.load(), import_model(options.model)
    people = measure(default, measured, register(default, measured).on_model)
    print(f"mean: {people.mean.square().mean().sqrt():.2f} a coefficient, root mean square")
    print("modes:", " ".join(f"{mode.norm():.2f}" for mode in people.modes))
    print(save_people(people, default, [f"{measured.name}: {measured.license}"]))


if __name__ == "__main__":
    main()
