"""A clip as engines play it: a surface at rest, shapes that are added by weights, and joints that carry vertices.

Exact for every model whose surface is linear in the expression once a person is chosen. Eyeballs hang from joints; so
do neck and jaw of models that have such, whose pose correctives are shapes. Enters: a `Performance`. Leaves: a `Rig`,
which the formats of skinned meshes write.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facemodel.export.animated.base import Performance
from facemodel.export.mesh import Mesh, frame_mesh
from facemodel.gaze import gaze_rotation
from facemodel.jointed import JointedModel
from foundation.errors import PortraitError
from geometry.camera import FLIP
from geometry.rotation import rotation_matrix

EYES = ("leftEye", "rightEye")
WORST = 1e-3  # mm that a rig may be off a model's vertices


@dataclass(frozen=True)
class Rig:
    """vertices = skinning(rest + weights . shapes), of F frames.

    Joint 0, the head, has no parent; its motion is the head's pose before a camera that looks along -z, y up. The
    others are in order: a parent comes before its children.
    """

    mesh: Mesh  # its neutral vertices, triangles, look and shapes are used: (S, V, 3) mm with S names
    weights: np.ndarray  # (F, S) of the shapes
    joints: tuple[str, ...]  # (J,) names
    parents: tuple[int, ...]  # (J,) -1 of the head
    bind: np.ndarray  # (J, 3) mm, where the joints are at rest, model frame
    skin: np.ndarray  # (V, J) how much each joint carries of a vertex
    rotations: np.ndarray  # (F, J, 3, 3) in the parent's frame
    translations: np.ndarray  # (F, J, 3) mm, in the parent's frame

    def evaluate(self, frame: int, posed: bool = False) -> np.ndarray:
        """(V, 3) mm in the model's frame; posed: before the camera that looks along -z."""
        moved = self.mesh.neutral + np.tensordot(self.weights[frame], self.mesh.shapes, 1)
        turned, at = [np.eye(3)], [np.zeros(3)]
        if posed:
            turned, at = [self.rotations[frame, 0]], [self.translations[frame, 0]]
        for k, parent in enumerate(self.parents[1:], start=1):
            at.append(at[parent] + turned[parent] @ self.translations[frame, k])
            turned.append(turned[parent] @ self.rotations[frame, k])
        each = np.einsum("jab,jvb->jva", turned, moved - self.bind[:, None]) + np.stack(at)[:, None]
        return np.einsum("vj,jva->va", self.skin, each)


def rig_of(clip: Performance) -> Rig:
    """PortraitError for a model that isn't linear in its expression, which can be told by its vertices."""
    mesh = frame_mesh(clip.track, 0, clip.model)
    p = clip.parameters
    head = np.array(FLIP) * clip.poses[1], rotation_matrix(p.rotation.cpu().double()).numpy()
    make = jointed if isinstance(clip.model, JointedModel) else rigid
    rig = make(clip, mesh, *head)
    probes = sorted({0, len(clip.track) // 2, len(clip.track) - 1})
    off = max(np.abs(rig.evaluate(k) - v).max() for k, v in zip(probes, clip.vertices(probes)))
    if off > WORST:
        raise PortraitError(
            f"export: model '{clip.model.name}' isn't linear in its expression ({off:.2g} mm off as shapes); write "
            "vertices instead: --format obj, ply or pc2"
        )
    return rig


def rigid(clip: Performance, mesh: Mesh, translation: np.ndarray, rotation: np.ndarray) -> Rig:
    """Of a model without joints: eyeballs that turn about their centres, where it has such."""
    model, p, frames = clip.model, clip.parameters, len(clip.track)
    rest = model.blocks["expression"].mean
    with torch.inference_mode():
        neutral = model.vertices(p.identity[0], rest)
    mesh = with_shapes(mesh, neutral, mesh.shapes, mesh.shape_names)
    joints, parents, bind = ["head"], [-1], [np.zeros(3)]
    rotations, translations = [rotation], [translation]
    skin = np.zeros((len(mesh.neutral), 1 if model.eyes is None else 3))
    skin[:, 0] = 1
    if model.eyes is not None:
        centers = array(model.eye_centers(p.identity[0]))
        turns = array(gaze_rotation(p.gaze.double()))
        for k, (name, index) in enumerate(zip(EYES, model.eyes.vertices)):
            skin[index.cpu().numpy()] = np.eye(3)[k + 1]
            joints, parents, bind = [*joints, name], [*parents, 0], [*bind, centers[k]]
            rotations.append(turns[:, k])
            translations.append(np.broadcast_to(centers[k], (frames, 3)))
    weights = array(p.expression - rest)
    return Rig(mesh, weights, tuple(joints), tuple(parents), np.stack(bind), skin, np.stack(rotations, 1),
               np.stack(translations, 1))  # fmt: skip


def jointed(clip: Performance, mesh: Mesh, translation: np.ndarray, rotation: np.ndarray) -> Rig:
    """Of a model with joints: its root, which doesn't turn, is the head; correctives are shapes more.

    Where joints lie follows from the expression: their translations do that.
    """
    model, p = clip.model, clip.parameters
    rest = model.blocks["expression"].mean
    with torch.inference_mode():
        neutral = model.vertices(p.identity[0], rest)
        a = model.pose(p.identity, p.expression, p.joints, p.gaze)
        bind = array(model.rest_joints(p.identity[0], rest))
    turned, at, before = array(a.turned), array(a.at), array(a.rest)
    # Where each joint carries what was at its place at rest: skinning in other programs goes from there.
    carried = at + np.einsum("fjab,fjb->fja", turned, bind - before)
    rotations, translations = array(a.own).copy(), np.empty_like(carried)
    parents = model.skeleton.parents
    for k, parent in enumerate(parents[1:], start=1):
        translations[:, k] = np.einsum("fba,fb->fa", turned[:, parent], carried[:, k] - carried[:, parent])
    children = [k for k, parent in enumerate(parents) if parent == 0]
    translations[:, children] += bind[0]  # the head's own origin is the model's
    rotations[:, 0], translations[:, 0], bind[0] = rotation, translation, 0
    shapes, names = [array(model.expression_basis)], list(model.expression_names)
    weights = [array(p.expression - rest)]
    joints = ("head", *model.skeleton.names[1:])
    if "pose_correctives" in model.flatten():
        bent = array(a.own[:, model.corrective_joints]) - np.eye(3)
        shapes.append(array(model.pose_correctives))
        weights.append(bent.reshape(len(bent), -1))
        names += [f"{joints[j]} corrective {k}" for j in model.corrective_joints.tolist() for k in range(9)]
    mesh = with_shapes(mesh, neutral, np.concatenate(shapes), tuple(names))
    return Rig(mesh, np.concatenate(weights, 1), joints, parents, bind, array(model.skinning_weights), rotations,
               translations)  # fmt: skip


def with_shapes(mesh: Mesh, neutral: torch.Tensor, shapes: np.ndarray, names: tuple[str, ...]) -> Mesh:
    """A mesh with other vertices at rest, (V, 3) mm, and shapes (S, V, 3)."""
    return Mesh(mesh.vertices, mesh.triangles, mesh.uv, mesh.uv_triangles, mesh.colors, array(neutral), shapes, names,
                mesh.activations)  # fmt: skip


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
