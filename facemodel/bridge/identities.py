"""Who the default model can be, on another model's mesh: its identities, and the step from this mean to that one.

By them a person that was carried over keeps their true shape, whatever the model's own statistics hold: twenty
components or sixty can't be anybody precisely. They come after the model's own, which alone say what its people are
like: nothing is fitted by the carried ones (`FaceModel.own_identities`).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bilinear import BilinearModel
from facemodel.bridge.alignment import similarity
from facemodel.bridge.meshes import with_additions
from facemodel.bridge.registration import outer_skin
from facemodel.bridge.surface import laplacian
from facemodel.correspondence import Correspondence
from facemodel.jointed import JointedModel
from facemodel.linear import LinearModel
from facemodel.recombination import OF_IDENTITIES

REACH = 15.0
"""mm, within which the mouth's and the eyes' inside follow the default's."""
FIRM = 100.0
"""How much more a vertex that corresponds keeps to the default's than to its neighbours."""
LOOSE = 1e-3
"""The same of a vertex that corresponds to nothing, and the nearest point."""
NEAR = 15.0
"""mm from the nearest vertex to a joint: how far those are that it goes along with."""


def with_identities(default: FaceModel, model: LinearModel, found: Correspondence) -> tuple[LinearModel, int]:
    """The model with the default one's identities after its own, and how many those are.

    The last takes its mean to the default's. Skin goes where the default's does; what has no counterpart goes along
    with its neighbours; eyeballs and joints go along as a whole.
    """
    turn, shift = _laid(default, found)
    moves = _moves(default, model, found, turn, shift)
    tensors = with_additions(model) if isinstance(model, BilinearModel) else model.flatten()
    count = len(moves)
    more: dict[str, Tensor] = {}
    if model.eyes is not None:
        more |= _eyes(default, model, turn, shift)
        for eye, index in enumerate(model.eyes.vertices):
            out = (model.mean[index] - model.eye_centers()[eye]) / model.eye_radius()[eye]
            moves[:, index] = (
                more["eye_center_basis"][:, eye, None] + more["eye_radius_basis"][:, eye, None, None] * out
            )
    more |= {"identity_basis": moves, "added_identity": moves}
    if isinstance(model, JointedModel):
        more["joint_identity_basis"] = _joints(model, moves, more.get("eye_center_basis"))
    for name in OF_IDENTITIES:
        if name in tensors:
            old = tensors[name]
            new = more.get(name, old.new_zeros(count, *old.shape[1:]))
            tensors[name] = torch.cat([old, new.to(old)])
    return model.rebuilt(tensors), count


def _laid(default: FaceModel, found: Correspondence) -> tuple[Tensor, Tensor]:
    """Rotation (3, 3) and shift (3,) mm of the default model's frame in the other's, its size left as it is."""
    face = default.region("face")
    a, b = (x[face].double() for x in (default.mean, found.registered))
    turn = torch.from_numpy(similarity(a.numpy(), b.numpy())[1])
    return turn.float(), (b.mean(0) - turn @ a.mean(0)).float()


def _moves(default: FaceModel, model: FaceModel, found: Correspondence, turn: Tensor, shift: Tensor) -> Tensor:
    """(K, V, 3) mm."""
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    count, place = len(vertices), found.on_default
    bases = torch.cat([default.identity_basis @ turn.T, (default.mean @ turn.T + shift)[None]])
    told = place.pick(bases, default.triangles).double().numpy()
    told[-1] -= vertices
    apart = np.linalg.norm(place.pick(found.registered, default.triangles).numpy() - vertices, axis=-1)
    sure = np.where(outer_skin(model), place.weights.numpy(), np.clip(1 - apart / REACH, 0, 1))
    hold = FIRM * sure**2 + LOOSE
    smooth = laplacian(triangles, count)
    matrix = (smooth.T @ smooth + sparse.diags(hold)).tocsc()
    right = (hold[:, None] * told.transpose(1, 0, 2).reshape(count, -1)).reshape(count, -1)
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    moves = solver.solve(right).reshape(count, len(told), 3).transpose(1, 0, 2)
    return torch.from_numpy(np.ascontiguousarray(moves)).float()


def _eyes(default: FaceModel, model: FaceModel, turn: Tensor, shift: Tensor) -> dict[str, Tensor]:
    """How the eyeballs' centres (K, 2, 3) and radii (K, 2) go along."""
    centers = default.eye_centers() @ turn.T + shift - model.eye_centers()
    radii = default.eye_radius() - model.eye_radius()
    return {
        "eye_center_basis": torch.cat([default.eyes.center_basis @ turn.T, centers[None]]),
        "eye_radius_basis": torch.cat([default.eyes.radius_basis, radii[None]]),
    }


def _joints(model: JointedModel, moves: Tensor, eyes: Tensor | None) -> Tensor:
    """(K, J, 3) mm: a joint goes where the surface about it goes, one that an eye turns about with its eye."""
    apart = torch.cdist(model.joint_mean, model.mean[model.triangles.unique()])
    share = torch.exp(-(((apart - apart.amin(1, keepdim=True)) / NEAR) ** 2))
    share = share / share.sum(1, keepdim=True)
    found = torch.einsum("jv,kvc->kjc", share, moves[:, model.triangles.unique()])
    if eyes is not None and model.skeleton.eyes is not None:
        found[:, list(model.skeleton.eyes)] = eyes
    return found
