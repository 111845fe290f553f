"""What a model lacks, carried over from the default one.

Enters: a model as its reader made it, and perhaps where landmarks are on it. Leaves: the same model with everything
that the default one has: expressions by ARKit's names beside its own, eyeballs, colours, regions, a texture atlas,
landmarks; and the correspondence that all of it went by. Its own is left as it is: its vertices and its expressions
come first. `Provenance.carried` says what was carried over. Imports call it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from facemodel.base import Block, FaceModel
from facemodel.bilinear import BilinearModel
from facemodel.bridge import surfaces
from facemodel.bridge.expressions import transfer
from facemodel.bridge.eyes import with_eyes
from facemodel.bridge.identities import with_identities
from facemodel.bridge.jaw import with_jaw
from facemodel.bridge.lids import close_lids
from facemodel.bridge.meshes import with_additions
from facemodel.bridge.registration import SOCKET, correspond, lay
from facemodel.correspondence import Correspondence
from facemodel.jointed import JointedModel
from facemodel.linear import LinearModel
from foundation.progress import Event, Report, ignore

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
NOTHING = 0.05
"""mm: an expression that moves the surface less isn't carried over."""


def carry_over(
    default: LinearModel,
    model: LinearModel,
    landmarks: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    *,
    report: Report = ignore,
) -> LinearModel:
    """The model with everything that the default one has.

    Args:
        landmarks: as `find_guides` takes them, where they are known better than by the model's own embeddings.
    """
    own = {
        "own_vertices": len(model.mean),
        "own_expressions": model.count("expression"),
        "own_identities": model.count("identity"),
    }
    carried: list[str] = []
    laid = lay(default, model, landmarks, report=report)
    if model.eyes is None:
        model = with_eyes(default, model, laid)
        carried += ["eyes", *(f"region {n}" for n in model.regions if n == SOCKET)]
    found = correspond(default, model, laid)
    tensors, changes = model.flatten() | found.tensors(), {"registered": found.fingerprint}
    if model.reflectance is None:
        tensors |= surfaces.colours(default, found)
        carried.append("reflectance")
    if model.atlas is None:
        tensors |= surfaces.atlas(default, model, found)
        changes["symmetric_atlas"] = True
        carried.append("atlas")
    masks = surfaces.regions(default, model, found)
    if masks:
        names = (*model.region_names, *masks)
        tensors["region_masks"] = torch.stack([*model.regions.values(), *masks.values()])
        changes["region_names"] = names
        carried += [f"region {name}" for name in masks]
    for scheme in default.embeddings:
        placed = surfaces.landmarks(default, model, found, scheme)
        own_marks = model.embeddings.get(scheme)
        missing = torch.ones(len(placed[f"landmark_weights_{scheme}"]), dtype=torch.bool)
        if own_marks is not None:  # of which there may be a few
            missing = own_marks.weights <= 0
            for part, value in vars(own_marks).items():
                mine = placed[f"landmark_{part}_{scheme}"]
                placed[f"landmark_{part}_{scheme}"] = torch.where(
                    missing.view(-1, *[1] * (value.dim() - 1)), mine.to(value), value
                )
        tensors |= placed
        if bool(missing.any()):
            carried.append(f"landmarks {scheme}" + ("" if own_marks is None else f" ({int(missing.sum())})"))
    model = model.rebuilt(tensors, **changes)
    report(Event("carrying over", 0, None, "expressions"))
    names = [n for n in default.expression_names if n not in model.arkit]
    names, moves = expressions(default, model, found, names)
    model = with_expressions(model, default.blocks["expression"], names, moves)
    if isinstance(model, JointedModel):
        model = with_jaw(model, names)
    carried += names
    report(Event("carrying over", 1, None, "identities"))
    model, count = with_identities(default, model, found)
    carried.append(f"identity ({count})")
    if model.provenance is not None:
        model.provenance = dataclasses.replace(model.provenance, carried=tuple(carried), **own)
    return model


def expressions(
    default: FaceModel, model: FaceModel, found: Correspondence, names: list[str]
) -> tuple[list[str], Tensor]:
    """The names of those that do anything, and their displacements (N, V, 3) mm of the model's mean."""
    moves = transfer(default, model, found, names)
    there = moves.norm(dim=-1).amax(1) > NOTHING  # a mask has no tongue to put out
    names, moves = [n for n, moved in zip(names, there.tolist()) if moved], moves[there]
    for eye, name in enumerate(BLINKS):
        if name in names:
            k = names.index(name)
            moves[k] = close_lids(default, model, found, eye, moves[k])
    return names, moves


def with_expressions(model: LinearModel, like: Block, names: list[str], moves: Tensor) -> LinearModel:
    """The model with more expressions, after its own. ``like``: the block that has their bounds and priors."""
    tensors = model.flatten()
    chosen = [like.index(n) for n in names]
    old = model.blocks["expression"]
    parts = [
        torch.cat([getattr(old, p).cpu(), getattr(like, p).cpu()[chosen]]) for p in ("lower", "upper", "mean", "std")
    ]
    tensors["expression_basis"] = torch.cat([tensors["expression_basis"], moves])
    count = len(names)
    if isinstance(model, JointedModel):
        basis = tensors["joint_expression_basis"]
        tensors["joint_expression_basis"] = torch.cat([basis, basis.new_zeros(count, *basis.shape[1:])])
    if isinstance(model, BilinearModel):
        tensors = with_additions(model) | {"expression_basis": tensors["expression_basis"]}
        tensors["added_expression"] = torch.cat([tensors["added_expression"], moves])
        ways = tensors["expression_directions"]
        tensors["expression_directions"] = torch.cat([ways, ways.new_zeros(count, ways.shape[1])])
    return model.rebuilt(tensors, expression=Block((*old.names, *names), *parts))
