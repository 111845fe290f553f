"""Eyeballs for a model that has none, and openings for them where its eyes are closed skin.

The opening's edge is the front edge of the default model's lids, laid onto the model's mean. The ball is the default
model's, sized with the face, as far forward as the skin around it lets it be; it moves and grows with the opening's
edge over identities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facemodel.base import FaceModel, UVAtlas
from facemodel.bridge.alignment import similarity
from facemodel.bridge.meshes import Part, inside_by, pushed_in, remeshed, with_part
from facemodel.bridge.registration import SOCKET, outer_skin
from facemodel.bridge.surface import Surface, components, edges_of, vertex_normals
from facemodel.jointed import JointedModel
from facemodel.linear import LinearModel


@dataclass(frozen=True)
class EyePolicy:
    """Lengths in millimetres."""

    clearance: float = 0.4  # between the ball and the skin around it
    around: float = 1.4  # radii, how far from the ball's middle skin has to be clear of it
    touching: float = 0.05  # share of that skin that may touch it
    pocket: float = 0.3  # of the ball's depth: how deep the pocket is behind its middle
    grows: float = 0.4  # how much of the opening's width the ball takes on


POLICY = EyePolicy()


def lid_edge(default: FaceModel, eye: int) -> np.ndarray:
    """(P,) vertices of the default model: the front edge of an eye's lids, around it counter-clockwise from +x.

    There the surface turns from looking away from the eyeball to looking at it.
    """
    vertices, triangles = default.mean.double().numpy(), default.triangles.numpy()
    offset = vertices - default.eye_centers()[eye].double().numpy()
    distance = np.linalg.norm(offset, axis=-1)
    part = components(triangles, len(vertices))
    skin = part == part[np.flatnonzero(default.region("skin").numpy())[0]]
    near = skin & (distance < 1.7 * float(default.eye_radius()[eye]))
    looks = (vertex_normals(vertices, triangles) * offset).sum(-1) / np.maximum(distance, 1e-9)
    inwards = near & (looks < -0.3)
    edges, _ = edges_of(triangles)
    across = edges[inwards[edges[:, 0]] != inwards[edges[:, 1]]]
    rim = np.unique(across)
    rim = rim[near[rim] & ~inwards[rim] & default.region("eyelids").numpy()[rim]]
    around = offset[rim] - offset[rim].mean(0)
    return rim[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]


def with_eyes(default: FaceModel, model: LinearModel, laid: np.ndarray, policy: EyePolicy = POLICY) -> LinearModel:
    """The model with two eyeballs of the default one's. ``laid`` (V0, 3): the default model laid onto its mean."""
    tensors: dict[str, list[torch.Tensor]] = {"center": [], "center_basis": [], "radius": [], "radius_basis": []}
    balls, pocket = [], np.zeros(0, dtype=bool)
    edges = [lid_edge(default, eye) for eye in (0, 1)]
    for eye, edge in enumerate(edges):
        index = default.eyes.vertices[eye].numpy()
        size, turn, shift = similarity(default.mean[index].double().numpy(), laid[index])
        radius = size * float(default.eye_radius()[eye])
        center = size * turn @ default.eye_centers()[eye].double().numpy() + shift
        center = _pushed_back(model, center, laid[edge], radius, policy)
        balls.append((center, radius))
        skin = outer_skin(model)
        near = (np.abs(model.mean.numpy() - laid[edge].mean(0)) < 25).all(1) & skin
        floor = _behind_ball(center, radius, policy)
        remeshing, more = pushed_in(model, laid[edge][:, :2], near[model.triangles.numpy()].all(1), floor)
        model = remeshed(model, remeshing)
        more[: len(pocket)] |= pocket
        pocket = more
    if pocket.any():
        masks = [*model.regions.values(), torch.from_numpy(pocket)]
        names = (*model.region_names, SOCKET)
        model = model.rebuilt(model.flatten() | {"region_masks": torch.stack(masks)}, region_names=names)
    indices = []
    free = free_square(model.atlas) if model.atlas is not None else (0.0, 0.0, 1.0)
    surface = Surface(model.mean.double().numpy(), model.triangles.numpy())
    for eye, edge in enumerate(edges):
        index, (center, radius) = default.eyes.vertices[eye], balls[eye]
        # How the opening's edge moves and widens with each identity.
        at = surface.nearest(laid[edge])
        corners, shares = model.triangles[at.triangles], torch.from_numpy(at.barycentric).float()
        moves = (model.identity_basis[:, corners] * shares[..., None]).sum(2)  # (I, P, 3)
        shift = moves.mean(1)
        out = torch.from_numpy(laid[edge] - laid[edge].mean(0)).float()
        growth = policy.grows * ((moves - shift[:, None]) * out).sum((1, 2)) / out.square().sum()  # a share of the size
        direction = (default.mean[index] - default.eye_centers()[eye]) / default.eye_radius()[eye]
        spin = {
            "center": torch.from_numpy(center).float(), "center_basis": shift,
            "radius": torch.tensor(radius), "radius_basis": radius * growth,
        }  # fmt: skip
        for name, value in spin.items():
            tensors[name].append(value)
        model, added = with_part(model, _ball(default, model, eye, direction, spin, free))
        indices.append(added)
    stacked = {
        "eye_center_mean": torch.stack(tensors["center"]),
        "eye_center_basis": torch.stack(tensors["center_basis"], 1),
        "eye_radius_mean": torch.stack(tensors["radius"]),
        "eye_radius_basis": torch.stack(tensors["radius_basis"], 1),
    }
    return model.rebuilt(
        model.flatten() | stacked | {"eye_vertices_left": indices[0], "eye_vertices_right": indices[1]}
    )


def _ball(
    default: FaceModel, model: LinearModel, eye: int, direction: torch.Tensor, spin: dict,
    free: tuple[float, float, float],
) -> Part:  # fmt: skip
    """An eyeball, as a part to be added. ``free``: a square of the model's own atlas, for both."""
    index = default.eyes.vertices[eye]
    table = torch.full((len(default.mean),), -1)
    table[index] = torch.arange(len(index))
    rows = (table[default.triangles] >= 0).all(1)
    moves = spin["center_basis"][:, None] + spin["radius_basis"][:, None, None] * direction
    more = {}
    if model.reflectance is not None:
        basis = torch.zeros(model.count("reflectance"), len(index), 3)
        more |= {"albedo_mean": default.albedo()[index], "albedo_basis": basis}
    if model.atlas is not None:
        corners = default.atlas.coordinates[default.atlas.triangles[rows]]
        low, high = corners.amin((0, 1)), corners.amax((0, 1))
        left, bottom, side = free
        place = torch.tensor([left + eye * side / 2, bottom])
        more["uv"] = place + (corners - low) / (high - low) * torch.tensor([side / 2, side])
    if isinstance(model, JointedModel):
        more["joint"] = _head_joint(model)
    return Part(spin["center"] + spin["radius"] * direction, moves, table[default.triangles[rows]], **more)


def free_square(atlas: UVAtlas, cells: int = 64) -> tuple[float, float, float]:
    """Left, bottom and side of an atlas' largest square that no triangle is near; of no size where all is full."""
    corners = atlas.coordinates[atlas.triangles].double().numpy() * cells
    low = np.floor(corners.min(1)).astype(int).clip(0, cells - 1)
    high = np.floor(corners.max(1)).astype(int).clip(0, cells - 1)
    taken = np.zeros((cells, cells), dtype=bool)
    for (x0, y0), (x1, y1) in zip(low, high):
        taken[x0 : x1 + 1, y0 : y1 + 1] = True
    best, side = (0, 0), 0
    size = np.zeros((cells + 1, cells + 1), dtype=int)  # of the largest free square that ends at a cell
    for x in range(cells):
        for y in range(cells):
            if not taken[x, y]:
                size[x + 1, y + 1] = 1 + min(size[x, y + 1], size[x + 1, y], size[x, y])
                if size[x + 1, y + 1] > side:
                    side = size[x + 1, y + 1]
                    best = x + 1 - side, y + 1 - side
    return best[0] / cells, best[1] / cells, side / cells


def _head_joint(model: JointedModel) -> int:
    """The joint that most of the surface hangs from."""
    return int(model.skinning_weights.sum(0).argmax())


def _pushed_back(
    model: FaceModel, center: np.ndarray, edge: np.ndarray, radius: float, policy: EyePolicy
) -> np.ndarray:
    """The ball's centre (3,), moved along z until the skin around its opening, whose edge is (P, 3), is clear of it."""
    vertices = model.mean.double().numpy()[outer_skin(model)]
    vertices = vertices[np.linalg.norm((vertices - center)[:, :2], axis=-1) < policy.around * radius]
    near = np.concatenate([edge, vertices[inside_by(vertices[:, :2], edge[:, :2]) <= 0]])
    near = near[np.abs(near[:, 2] - center[2]) < 2 * radius]
    reach = radius + policy.clearance
    aside = np.linalg.norm((near - center)[:, :2], axis=-1)
    touching = aside < reach
    if not touching.any():
        return center
    # In front of each point that the ball could touch, its centre has to be this far back.
    furthest = near[touching, 2] - np.sqrt(reach**2 - aside[touching] ** 2)
    return np.array([center[0], center[1], np.quantile(furthest, policy.touching)])


def _behind_ball(center: np.ndarray, radius: float, policy: EyePolicy):
    """From points (N, 2) to the z of a pocket that the ball lies in."""

    def floor(points: np.ndarray) -> np.ndarray:
        aside = np.linalg.norm(points - center[:2], axis=-1)
        return center[2] - policy.pocket * np.sqrt(np.maximum(radius**2 - aside**2, 0.0)) - 1.0

    return floor
