"""Expressions that a model's own jaw makes: how far it turns for each, in place of a shape.

Enters a model with joints that was given expressions by ARKit's names; leaves the same, whose jawOpen, jawLeft and
jawRight turn its jaw by what comes nearest to the shapes that they were. So an edit by such a name moves the joint.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from facemodel.jointed import JointedModel

JAW = "jaw"
TURNS = ("jawOpen", "jawLeft", "jawRight")
STEPS = 8
EXPLAINED = 0.5
"""Share of a shape's squared motion that the jaw's turn has to make, or it stays a shape."""


def with_jaw(model: JointedModel, names: list[str]) -> JointedModel:
    """``names``: the expressions that it was given."""
    joints, skeleton = model.count("joints"), model.skeleton
    if JAW not in skeleton.names:
        return model
    first = 3 * skeleton.free.index(skeleton.names.index(JAW))
    basis, drive, turned = model.expression_basis.clone(), model.mean.new_zeros(model.count("expression"), joints), []
    for name in (n for n in TURNS if n in names):
        k = model.expression_index(name)
        turn = jaw_turn(model, first, basis[k])
        if turn is not None:
            drive[k, first : first + 3], basis[k] = turn, 0
            turned.append(name)
    if not turned:
        return model
    made = model.rebuilt(model.flatten() | {"expression_basis": basis, "joint_drive": drive})
    if made.provenance is not None:
        note = f"{', '.join(turned)} turn its own jaw"
        made.provenance = dataclasses.replace(made.provenance, notes=(*made.provenance.notes, note))
    return made


def jaw_turn(model: JointedModel, first: int, move: Tensor) -> Tensor | None:
    """The jaw's axis-angle (3,) that moves what it carries as displacements (V, 3) mm of the mean do, by Gauss-Newton.

    ``first`` of the joints' numbers is the jaw's. None where no turn comes near.
    """
    weights = model.skinning_weights[:, model.skeleton.below(model.skeleton.names.index(JAW))].sum(1)
    rest = [model.mean.new_zeros(model.count(block)) for block in ("identity", "expression")]
    joints, whole = model.mean.new_zeros(model.count("joints")), (weights[:, None] * move.square()).sum()
    for _ in range(STEPS):
        there = model.linearize(*rest, joints)
        slopes, off = there.joints[first : first + 3], there.vertices - model.mean - move
        matrix = torch.einsum("v,iva,jva->ij", weights, slopes, slopes)
        joints[first : first + 3] -= torch.linalg.lstsq(matrix, torch.einsum("v,iva,va->i", weights, slopes, off))[0]
    off = model.vertices(joints=joints) - model.mean - move
    left = (weights[:, None] * off.square()).sum()
    return joints[first : first + 3] if left < (1 - EXPLAINED) * whole else None
