"""Expressions from one face to another of another shape: coefficients copied, or triangles deformed alike.

    python -m benchmarks.transfer [--pairs 8] [--frames 50]

Synthetic people perform, two by two; of each pair the one drives the other, whose own performance with the same
coefficients is the truth. The source is known as a fit knows it: its identity is off by a third of its way from the
mean, and its expressions are those that are nearest to its true surface with that identity. ``copied`` is what
`facemodel.mix` does, relative to rest; ``transferred`` is `neural_render.methods.face2face.transfer`, deformation
transfer in the subspace of the target's expressions. In both lids and lips that touch in the source then touch.

Means over pairs, printed as one JSON object on the last line: ``shape``, mm of the vertices of the face from the truth;
``lips`` and ``lids``, mm of their openings from the truth's; ``closed``, mm that lids are open where the truth's are
shut; ``triangles``, error of the target's edges against the source's deformation of them, as a share of that
deformation; ``ms`` a frame of thread time, contacts left out. ``neutral`` is a target that never moves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import facemodel
from facemodel.editing.contact import LIDS, LIPS, Contacts, carry_contacts
from facemodel.editing.neutral import relative_expression
from neural_render.methods.face2face.transfer import DeformationTransfer, edges
from synthetic.performance import expressions

KNOWN = 0.67  # of the source's identity
RIDGE = 1e-3  # of the mean square of an expression's shape, in the source's fit
SHUT = 0.3  # mm


def performance(model, seed: int, frames: int) -> Tensor:
    """(F, E) expressions: two people's gestures together, with blinks."""
    gaze = torch.zeros(frames, 2, 2)
    parts = [expressions(model, torch.Generator().manual_seed(2 * seed + k), frames, gaze) for k in (0, 1)]
    return model.blocks["expression"].clamp(torch.maximum(*parts))


def refitted(model, surface: Tensor, identity: Tensor) -> Tensor:
    """(F, E) expressions with which another identity is nearest to surfaces (F, V, 3)."""
    basis = model.linearize(identity, torch.zeros(model.count("expression")), torch.zeros(0)).expression.flatten(1)
    normal = basis @ basis.T
    normal += RIDGE * normal.diagonal().mean() * torch.eye(len(normal))
    rest = model.vertices(identity)
    found = torch.linalg.solve(normal, basis @ (surface - rest).flatten(1).T).T
    return model.blocks["expression"].clamp(found)


def pair(model, seed: int, frames: int) -> dict[str, dict[str, float]]:
    """The figures of one pair, by method."""
    g = torch.Generator().manual_seed(1000 + seed)
    source, target = torch.randn(2, model.count("identity"), generator=g)
    wanted, zero, joints = performance(model, seed, frames), torch.zeros(model.count("expression")), torch.zeros(0)
    known = KNOWN * source
    seen = refitted(model, model.vertices(source, wanted), known)
    rest = refitted(model, model.vertices(source, zero)[None], known)[0]
    truth, face = model.vertices(target, wanted), model.region("face")
    transfer = DeformationTransfer.of(model, model.vertices(known, rest), target, zero)
    contacts = Contacts.of(model, known, rest), Contacts.of(model, target, zero)
    methods: dict[str, Callable[[Tensor], Tensor]] = {
        "neutral": zero.expand_as,
        "copied": lambda e: relative_expression(e, rest, zero, model),
        "transferred": lambda e: model.blocks["expression"].clamp(transfer(model.vertices(known, e))),
    }
    asked = transfer.gradients(model.vertices(known, seen)) @ transfer.neutral
    still = joints.expand(frames, 0)
    open_ = contacts[1].opening(wanted, still) - contacts[1].zero
    result = {}
    for name, carry in methods.items():
        began = time.thread_time()
        for row in seen:
            carry(row[None])
        spent = time.thread_time() - began
        found = carry(seen)
        if name != "neutral":
            found = carry_contacts((contacts[0], seen, still), (contacts[1], found, still))
        made = model.vertices(target, found)
        opening = contacts[1].opening(found, still) - contacts[1].zero
        off = (opening - open_).abs()
        lids = list(LIDS)
        shut = open_[:, lids] < SHUT
        error = edges(made, transfer.triangles) - asked
        result[name] = {
            "shape": float((made - truth)[:, face].norm(dim=-1).mean()),
            "lips": float(off[:, LIPS].mean()),
            "lids": float(off[:, lids].mean()),
            "closed": float(opening[:, lids][shut].clamp_min(0).mean()) if shut.any() else float("nan"),
            "triangles": float(error.norm() / (asked - transfer.neutral).norm()),
            "ms": 1e3 * spent / frames,
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--frames", type=int, default=50)
    o = parser.parse_args()
    model = facemodel.load()
    with torch.inference_mode():
        pairs = [pair(model, seed, o.frames) for seed in range(o.pairs)]
    figures = {
        method: {name: round(float(np.nanmean([p[method][name] for p in pairs])), 4) for name in pairs[0][method]}
        for method in pairs[0]
    }
    print(json.dumps({"pairs": o.pairs, "frames": o.frames, "methods": figures}))


if __name__ == "__main__":
    main()
