"""A face model as a page draws it: a surface, what is added to it (morph targets), and what turns (bones).

vertices = sum over bones of weight * bone(base + sum over targets of influence * target), which is exact for linear
models, whose eyeballs are bones, and for those with joints. Of any other model it's the tangent at rest, which the page
says. ``src/face.js`` has the other half.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from facemodel import FaceModel, LinearModel
from facemodel.editing.edits import NAMED
from facemodel.jointed import JointedModel
from foundation.errors import PortraitError
from renderer import linear_to_srgb

COMPONENTS = 10  # of identity that a page lets you change
GLOSSY, WITHIN = 1, 2  # bits of a vertex' look: it shines; it is within the mouth, where lamps don't reach
LOOKS = {GLOSSY: ("eyes", "iris", "pupil", "teeth"), WITHIN: ("mouth_inside", "tongue", "teeth")}
MOST_NUMBERS = 60_000_000  # of all targets together: 240 MB, which a browser still holds


@dataclass(frozen=True)
class PageSurface:
    """Arrays and facts of one person's surface, by name."""

    arrays: dict[str, np.ndarray]
    facts: dict
    notes: tuple[str, ...] = field(default=())


def person_surface(
    model: FaceModel, identity: Tensor, reflectance: Tensor | None, first: PageSurface | None
) -> PageSurface:
    """What is one person's: identity (I,), reflectance (A,) or None.

    first: the surface of a page's first person, whose targets, bones and regions this one shares where they can be.
    """
    components = min(COMPONENTS, model.count("identity"))
    exact = isinstance(model, LinearModel)
    shared = exact and first is not None
    with torch.inference_mode():
        identity = identity.to(model.mean)
        base, targets, notes = _targets(model, identity, components, exact)
        arrays = {
            "base": base.numpy(),
            "albedo": _albedo(model, reflectance),
            "identity": identity[:components].numpy(),
        }
        bones, rig = _bones(model, identity, components)
    if not shared:
        arrays |= _sparse(targets)
        looks = sum(bit * torch.stack([model.region(n) for n in names]).any(0).int() for bit, names in LOOKS.items())
        arrays |= {"triangles": model.triangles.numpy(), "look": looks.numpy().astype(np.uint8)}
    else:
        bones = {k: v for k, v in bones.items() if k == "bone rest"}
    return PageSurface(arrays | bones, {"components": components, "exact": exact, "rig": rig}, notes)


def blocks(model: FaceModel) -> dict:
    """The coefficients' names and bounds, as JSON has them: None is no bound."""
    out = {}
    for name in NAMED:
        block = model.blocks.get(name)
        if block is None:
            out[name] = {"names": [], "lower": [], "upper": [], "rest": [], "std": []}
            continue
        numbers = {"lower": block.lower, "upper": block.upper, "rest": block.mean, "std": block.std}
        tables = {k: [float(x) if np.isfinite(x) else None for x in v.cpu()] for k, v in numbers.items()}
        out[name] = {"names": list(block.names), **tables}
    return out


def _targets(model: FaceModel, identity: Tensor, components: int, exact: bool) -> tuple[Tensor, Tensor, tuple]:
    """Base (V, 3) and targets (E + components + correctives (+ joints), V, 3)."""
    rest = {name: model.blocks[name].mean for name in NAMED if model.count(name)}
    size = (model.count("expression") + components) * model.mean.numel()
    if size > MOST_NUMBERS:
        raise PortraitError(
            f"model '{model.name}': {model.count('expression')} expressions of {len(model.mean):,} vertices are more "
            "than a page can hold; use a smaller model"
        )
    if exact:
        parts = [model.expression_basis, model.identity_basis[:components]]
        if hasattr(model, "pose_correctives"):
            parts.append(model.pose_correctives)
        base = model.mean + (identity @ model.identity_basis.flatten(1)).unflatten(-1, model.mean.shape)
        return base, torch.cat(parts), ()
    slopes = model.linearize(identity, rest["expression"], rest.get("joints", model.mean.new_zeros(0)))
    parts = [slopes.expression, slopes.identity[:components], slopes.joints]
    base = slopes.vertices - torch.einsum("e,eva->va", rest["expression"], slopes.expression)
    if "joints" in rest:
        base = base - torch.einsum("j,jva->va", rest["joints"], slopes.joints)
    note = f"The model '{model.name}' isn't linear: it is drawn by its slopes at rest, which are exact near it."
    return base, torch.cat(parts), () if model.linear else (note,)


def _bones(model: FaceModel, identity: Tensor, components: int) -> tuple[dict[str, np.ndarray], dict | None]:
    """Weights (V, B), where bones turn (B, 3) and how that moves with the coefficients; and the rig in words."""
    if isinstance(model, JointedModel):
        skeleton = model.skeleton
        correcting = model.corrective_joints.tolist() if hasattr(model, "pose_correctives") else []
        arrays = {
            "bone rest": model.rest_joints(identity).numpy(),
            "bone weights": model.skinning_weights.numpy(),
            "bone expression": model.joint_expression_basis.numpy(),
            "bone identity": model.joint_identity_basis[:components].numpy(),
        }
        rig = {"kind": "skeleton", "parents": list(skeleton.parents), "free": list(skeleton.free)}
        rig["drives"] = [[k, *model.joint_drive[k].tolist()] for k in model.driving]
        return arrays, rig | {"eyes": list(skeleton.eyes or ()), "correcting": correcting}
    eyes = model.eyes
    if eyes is None:
        return {}, None
    weights = torch.zeros(len(model.mean), 3)
    weights[:, 0] = 1
    for side, index in enumerate(eyes.vertices, start=1):
        weights[index] = torch.eye(3)[side]
    still = torch.zeros(1, 3)
    moves = torch.zeros(components, 3, 3)
    moves[:, 1:] = eyes.center_basis[:components]
    arrays = {
        "bone rest": torch.cat([still, model.eye_centers(identity)]).numpy(),
        "bone weights": weights.numpy(),
        "bone expression": np.zeros((0, 3, 3), np.float32),
        "bone identity": moves.numpy(),
    }
    return arrays, {"kind": "eyes", "parents": [-1, 0, 0], "free": [], "drives": [], "eyes": [1, 2], "correcting": []}


def _albedo(model: FaceModel, reflectance: Tensor | None) -> np.ndarray:
    """(V, 3) uint8 sRGB."""
    colours = model.albedo(None if reflectance is None else reflectance.to(model.mean))
    return (255 * linear_to_srgb(colours.clamp(0, 1)) + 0.5).to(torch.uint8).cpu().numpy()


def _sparse(targets: Tensor) -> dict[str, np.ndarray]:
    """Targets (T, V, 3) as rows that move: where each target begins (T + 1,), rows' vertices (N,), values (N, 3)."""
    moves = (targets != 0).any(-1)
    starts = torch.cat([torch.zeros(1, dtype=torch.long), moves.sum(1).cumsum(0)])
    return {
        "target start": starts.numpy(),
        "target vertex": moves.nonzero()[:, 1].numpy(),
        "target value": targets[moves].numpy(),
    }
