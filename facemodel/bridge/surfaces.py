"""What lies on the default model's surface, on another model's: colours, regions, texture coordinates, landmarks."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.bridge.registration import outer_skin
from facemodel.bridge.surface import Surface
from facemodel.correspondence import Correspondence


def colours(default: FaceModel, found: Correspondence) -> dict[str, Tensor]:
    """The default model's reflectance at the model's vertices."""
    basis = default.reflectance
    place = found.on_default
    return {
        "albedo_mean": place.pick(basis.mean, default.triangles),
        "albedo_basis": place.pick(basis.basis, default.triangles),
    }


def regions(default: FaceModel, model: FaceModel, found: Correspondence) -> dict[str, Tensor]:
    """(V,) bool by name: those of the default model's regions that the model has and doesn't name."""
    skin, own = torch.from_numpy(outer_skin(model)), model.regions
    eyeballs = torch.zeros(len(skin), dtype=torch.bool)
    for index in model.eyes.vertices if model.eyes is not None else ():
        eyeballs[index] = True
    made = {}
    for name, mask in default.regions.items():
        if name in own:
            continue
        there = found.on_default.pick(mask.float()[:, None], default.triangles)[:, 0] > 0.5
        if name in ("eyes", "iris", "pupil"):
            made[name] = eyeballs if name == "eyes" else there & eyeballs
        elif name in ("teeth", "tongue", "mouth_inside"):
            made[name] = there & ~skin & ~eyeballs
        else:
            made[name] = there & skin & found.matched()
    return {name: mask for name, mask in made.items() if bool(mask.any())}


def landmarks(default: FaceModel, model: FaceModel, found: Correspondence, scheme: str) -> dict[str, Tensor]:
    """A scheme's landmarks where the default model has them; of no weight where the model has no such place."""
    ours = default.embeddings[scheme]
    places = default.landmarks(found.registered, scheme).double().numpy()
    corners = default.triangles[ours.triangles]
    there = (found.on_model.weights[corners] * ours.barycentric).sum(1)
    eyes = default.region("eyes")[corners].all(1)
    triangles = model.triangles.numpy()
    out = {}
    index, bary = np.zeros(len(places), np.int64), np.zeros((len(places), 3))
    skin, vertices = outer_skin(model), model.mean.double().numpy()
    balls = np.zeros(len(vertices), dtype=bool)
    for part in model.eyes.vertices if model.eyes is not None else ():
        balls[part.numpy()] = True
    for of_eyes, mask in ((False, skin), (True, balls)):
        rows = np.flatnonzero(eyes.numpy() == of_eyes)
        used = mask[triangles].all(1)
        if len(rows) and used.any():
            at = Surface(vertices, triangles, used).nearest(places[rows])
            index[rows], bary[rows] = at.triangles, at.barycentric
    weights = ours.weights * there.clamp(0, 1) * torch.where(eyes, float(balls.any()), 1.0)
    named = {"triangles": index, "barycentric": bary, "weights": weights.numpy()}
    for name, value in named.items():
        out[f"landmark_{name}_{scheme}"] = torch.from_numpy(value)
    return out


def atlas(default: FaceModel, model: FaceModel, found: Correspondence) -> dict[str, Tensor]:
    """The default model's atlas: a triangle lies in the island that its middle corresponds to.

    Where the face is cut open (at the back of the head), a triangle that reaches across ends at the atlas' edge.
    """
    ours, triangles = default.atlas, model.triangles.numpy()
    coordinates, table = ours.coordinates.double().numpy(), ours.triangles.numpy()
    links = np.concatenate([table[:, [0, 1]], table[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(links)), links.T), (len(coordinates), len(coordinates)))
    island = sparse.csgraph.connected_components(graph, directed=False)[1][table[:, 0]]  # (T0,)
    place = found.on_default
    on = island[place.triangles.numpy()]  # (V,)
    corners = on[triangles]
    most = np.where(corners[:, 1] == corners[:, 2], corners[:, 1], corners[:, 0])  # two of three, or the first
    laid, mean = found.registered.double().numpy(), model.mean.double().numpy()
    placed = np.zeros((len(triangles), 3, 2))
    for number in np.unique(most):
        rows = np.flatnonzero(most == number)
        needed = np.unique(triangles[rows])
        at, bary = place.triangles.numpy()[needed].copy(), place.barycentric.numpy()[needed].astype(np.float64)
        stray = on[needed] != number
        if stray.any():
            near = Surface(laid, default.triangles.numpy(), island == number).nearest(mean[needed[stray]])
            at[stray], bary[stray] = near.triangles, near.barycentric
        uv = np.zeros((len(mean), 2))
        uv[needed] = (coordinates[table[at]] * bary[..., None]).sum(1)
        placed[rows] = uv[triangles[rows]]
    # Across the seam: the corners on the side where fewer are go to the edge of the others' side.
    u = placed[..., 0]
    torn = np.ptp(u, axis=1) > 0.5
    right = (u[torn] > 0.5).sum(1) >= 2
    u[torn] = np.where(right[:, None], np.where(u[torn] > 0.5, u[torn], 1.0), np.where(u[torn] > 0.5, 0.0, u[torn]))
    flat, index = np.unique(np.round(placed.reshape(-1, 2), 7), axis=0, return_inverse=True)
    return {"uv": torch.from_numpy(flat).float(), "uv_triangles": torch.from_numpy(index.reshape(-1, 3))}
