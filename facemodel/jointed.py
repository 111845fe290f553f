"""Models with joints: the linear surface, pose correctives, then linear blend skinning (FLAME, GNM).

The chain's root doesn't turn: the head's pose does that (`FaceParameters.rotation`). The eyes' joints follow gaze, and
the rest (neck, jaw) are the block "joints", three axis-angle numbers each. An expression may turn joints, too: jawOpen
of a model that has a jaw (`JointedModel.angles`). Li et al., "Learning a model of facial shape
and expression from 4D scans" (SIGGRAPH Asia 2017); Loper et al., "SMPL" (2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from facemodel.base import Block, Linearization, combine
from facemodel.combinations import Combinations
from facemodel.gaze import gaze_rotation
from facemodel.jointed_combinations import JointedCombinations
from facemodel.linear import LinearModel
from foundation.errors import PortraitError
from geometry.rotation import rotation_matrix

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True)
class Skeleton:
    """J joints. A joint's parent comes before it; joint 0 is the root."""

    names: tuple[str, ...]
    parents: tuple[int, ...]  # -1 of the root
    eyes: tuple[int, int] | None  # the joints of the left eye and of the right one

    @property
    def free(self) -> tuple[int, ...]:
        """The joints that the block "joints" turns, in its order."""
        return tuple(k for k in range(1, len(self.names)) if k not in (self.eyes or ()))

    def below(self, joint: int) -> list[int]:
        """A joint and all that hang from it."""
        found = [joint]
        for k in range(joint + 1, len(self.parents)):
            if self.parents[k] in found:
                found.append(k)
        return found


@dataclass(frozen=True)
class Pose:
    """The joints of a face, J of them, or of several."""

    rest: Tensor  # (..., J, 3) mm, before anything turns
    own: Tensor  # (..., J, 3, 3) each one's rotation in its parent's frame
    turned: Tensor  # (..., J, 3, 3) in the model's frame
    at: Tensor  # (..., J, 3) mm, where it is
    angles: dict[int, Tensor]  # (..., 3) by free joint, with what expressions turn it by

    @cached_property
    def moved(self) -> Tensor:
        """(J, 3) mm: a joint carries a point x at rest to turned x + moved."""
        return self.at - (self.turned @ self.rest[..., None])[..., 0]

    @cached_property
    def axes(self) -> dict[int, Tensor]:
        """By free joint (3, 3): row a is the axis, in the parent's frame, about which its number a turns."""
        return {k: _left_jacobian(a).T for k, a in self.angles.items()}


class JointedModel(LinearModel):
    """vertices = skinning(mean + identity + expression + correctives(rotations); joints, rotations).

    Its tensors beside those of `LinearModel`:

    - ``joint_mean`` (J, 3) mm, ``joint_identity_basis`` (I, J, 3), ``joint_expression_basis`` (E, J, 3): where the
      joints are at rest; ``skinning_weights`` (V, J), each vertex's adding up to 1;
    - ``joint_drive`` (E, 3 F) rad, or none: what a unit of an expression adds to the F free joints' numbers;
    - ``pose_correctives`` (9 C, V, 3) mm a unit of (R - I), row by row, of the joints ``corrective_joints`` (C,): both
      or none.
    """

    linear = False

    def __init__(self, tensors: dict[str, Tensor], *, skeleton: Skeleton, joints: Block, **linear) -> None:
        """``joints``: the block of the skeleton's free joints. ``linear``: see `LinearModel`."""
        super().__init__(tensors, **linear)
        self.skeleton = skeleton
        self._add_block("joints", joints)

    def about(self) -> dict:
        """See `LinearModel.about`."""
        return super().about() | {"skeleton": self.skeleton, "joints": self.blocks["joints"]}

    def rest_joints(self, identity: Tensor | None = None, expression: Tensor | None = None) -> Tensor:
        """Where the joints (..., J, 3) are before anything turns, mm."""
        at = self.joint_mean
        if identity is not None:
            at = at + combine("identity", identity, self.joint_identity_basis)
        if expression is not None:
            at = at + combine("expression", expression, self.joint_expression_basis)
        return at

    @property
    def driving(self) -> list[int]:
        """The expressions that turn joints."""
        return self.joint_drive.abs().amax(1).nonzero().ravel().tolist() if self._has("joint_drive") else []

    @property
    def driven(self) -> Tensor:
        """See `FaceModel.driven`."""
        return self.joint_drive.abs().amax(0) > 0 if self._has("joint_drive") else super().driven

    def angles(self, expression: Tensor | None, joints: Tensor | None) -> Tensor | None:
        """(..., 3 F): what the free joints are turned by, their own numbers and what expressions add; None of none."""
        if joints is not None and joints.shape[-1:] != (3 * len(self.skeleton.free),):
            raise PortraitError(
                f"joints: expected {3 * len(self.skeleton.free)} angles in the last dimension, got shape "
                f"{tuple(joints.shape)}; was it made with another model?"
            )
        if expression is None or not self._has("joint_drive"):
            return joints
        driven = expression @ self.joint_drive
        return driven if joints is None else joints + driven

    def by_name(self, expression: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
        """The same face (..., E), (..., 3 F) whose joints are turned by expressions as far as these go."""
        block, expression, joints = self.blocks["expression"], expression.clone(), joints.clone()
        for k in self.driving:
            way = self.joint_drive[k]
            wanted = expression[..., k] + joints @ way / (way @ way)
            found = wanted.clamp(block.lower[k], block.upper[k])
            joints -= (found - expression[..., k])[..., None] * way
            expression[..., k] = found
        return expression, joints

    def _rotations(self, gaze: Tensor | None, angles: Tensor | None) -> Tensor:
        """(..., J, 3, 3) of each joint in its parent's frame. ``angles``: see there."""
        skeleton, still = self.skeleton, torch.eye(3, dtype=self.mean.dtype, device=self.mean.device)
        parts, order = [still[None]], [0] * len(skeleton.names)  # that don't turn
        if angles is not None:
            parts.append(rotation_matrix(angles.unflatten(-1, (-1, 3))))
            for k in skeleton.free:
                order[k] = max(order) + 1
        if gaze is not None and skeleton.eyes is not None:
            if gaze.shape[-2:] != (2, 2):
                raise PortraitError(f"gaze: expected shape (..., 2 eyes, 2 angles), got {tuple(gaze.shape)}")
            parts.append(gaze_rotation(gaze))
            for k in skeleton.eyes:
                order[k] = max(order) + 1
        batch = torch.broadcast_shapes(*(p.shape[:-3] for p in parts))
        return torch.cat([p.expand(*batch, *p.shape[-3:]) for p in parts], -3)[..., order, :, :]

    def _chain(self, rest: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """World rotations (..., J, 3, 3) and positions (..., J, 3) of the joints."""
        turned, at = [rotations[..., 0, :, :]], [rest[..., 0, :]]
        for k, parent in enumerate(self.skeleton.parents[1:], start=1):
            turned.append(turned[parent] @ rotations[..., k, :, :])
            bone = rest[..., k, :] - rest[..., parent, :]
            at.append(at[parent] + (turned[parent] @ bone[..., None])[..., 0])
        return torch.stack(turned, -3), torch.stack(torch.broadcast_tensors(*at), -2)

    def _correct(self, rotations: Tensor) -> Tensor | float:
        """What bent joints add to the surface at rest, (..., V, 3)."""
        if "pose_correctives" not in self._buffers:
            return 0.0
        bent = rotations[..., self.corrective_joints, :, :] - torch.eye(
            3, dtype=rotations.dtype, device=self.mean.device
        )
        return (bent.flatten(-3) @ self.pose_correctives.flatten(1)).unflatten(-1, self.mean.shape)

    def vertices(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        gaze: Tensor | None = None,
        joints: Tensor | None = None,
    ) -> Tensor:
        """See `FaceModel.vertices`; ``joints`` (..., 3 F), axis-angle of the F free joints."""
        shaped = super().vertices(identity, expression, None if self.skeleton.eyes else gaze)
        angles = self.angles(expression, joints)
        if angles is None and (gaze is None or self.skeleton.eyes is None):
            return shaped
        rotations = self._rotations(gaze, angles)
        rest = self.rest_joints(identity, expression)
        turned, at = self._chain(rest, rotations)
        moved = at - (turned @ rest[..., None])[..., 0]
        blended = torch.einsum("vj,...jab->...vab", self.skinning_weights, turned)
        shaped = shaped + self._correct(rotations)
        return (blended @ shaped[..., None])[..., 0] + self.skinning_weights @ moved

    def pose(self, identity: Tensor, expression: Tensor, joints: Tensor, gaze: Tensor | None = None) -> Pose:
        """The joints at states (..., I), (..., E), (..., J), with the eyes straight ahead or turned by gaze."""
        angles = self.angles(expression, joints)
        rotations, rest = self._rotations(gaze, angles), self.rest_joints(identity, expression)
        turned, at = self._chain(rest, rotations)
        each = angles.unflatten(-1, (-1, 3)).unbind(-2)
        return Pose(rest, rotations, turned, at, dict(zip(self.skeleton.free, each)))

    def shifts(self, pose: Pose, of_joints: Tensor) -> Tensor:
        """(K, J, 3): derivatives of `Pose.moved` by what moves the resting joints by (K, J, 3)."""
        _, positions = self._chain(of_joints, pose.own)  # linear in the joints, so it is its own derivative
        return positions - torch.einsum("jab,kjb->kja", pose.turned, of_joints)

    @property
    def correcting(self) -> list[int]:
        """The joints that have correctives, nine each, in their order."""
        return self.corrective_joints.tolist() if self._has("pose_correctives") else []

    def bending(self, pose: Pose, joint: int) -> Tensor:
        """Derivatives (3, 9) of the coefficients of a free joint's correctives by its three numbers."""
        axes = pose.axes[joint][:, None, :].expand(3, 3, 3)
        bent = torch.linalg.cross(axes, pose.own[joint].T.expand(3, 3, 3), dim=-1).mT  # [axis] x R, column by column
        return bent.flatten(1)

    def combinations(self, rows: sparse.csr_matrix) -> Combinations:
        """See `FaceModel.combinations`."""
        return JointedCombinations(self, rows)

    def linearize(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Linearization:
        """See `FaceModel.linearize`, in closed form.

        A joint's turn about u moves what hangs from it by u x (p - joint), and the correctives by its own rotation's
        derivative.
        """
        pose, weights = self.pose(identity, expression, joints), self.skinning_weights
        shaped = super().vertices(identity, expression) + self._correct(pose.own)
        blended = torch.einsum("vj,jab->vab", weights, pose.turned)
        surface = (blended @ shaped[..., None])[..., 0] + weights @ pose.moved

        def carried(basis: Tensor, of_joints: Tensor) -> Tensor:
            """Derivatives (K, V, 3) by coefficients that move the surface at rest, and the joints within it."""
            shift = self.shifts(pose, of_joints)
            return torch.einsum("vab,kvb->kva", blended, basis) + torch.einsum("vj,kja->kva", weights, shift)

        slopes = [self._turning(i, pose, shaped, blended) for i in self.skeleton.free]
        by_joint = torch.cat(slopes) if slopes else shaped.new_zeros(0, *shaped.shape)
        by_expression = carried(self.expression_basis, self.joint_expression_basis)
        if self._has("joint_drive"):
            by_expression = by_expression + torch.einsum("ej,jva->eva", self.joint_drive, by_joint)
        by_identity = carried(self.identity_basis, self.joint_identity_basis)
        return Linearization(surface, by_identity, by_expression, by_joint)

    def _turning(self, joint: int, pose: Pose, shaped: Tensor, blended: Tensor) -> Tensor:
        """Derivatives (3, V, 3) by the three numbers of one joint."""
        world = pose.axes[joint] @ pose.turned[self.skeleton.parents[joint]].T
        below = self.skeleton.below(joint)
        weights = self.skinning_weights[:, below]
        # Where each joint below carries a vertex, as seen from this joint, weighted and summed.
        blend = torch.einsum("vj,jab->vab", weights, pose.turned[below])
        arm = (blend @ shaped[..., None])[..., 0] + weights @ (pose.moved[below] - pose.at[joint])
        slopes = torch.linalg.cross(world[:, None].expand(3, *arm.shape), arm.expand(3, *arm.shape), dim=-1)
        if joint in self.correcting:
            first = 9 * self.correcting.index(joint)
            corrected = torch.einsum("kc,cva->kva", self.bending(pose, joint), self.pose_correctives[first : first + 9])
            slopes = slopes + torch.einsum("vab,kvb->kva", blended, corrected)
        return slopes


def _left_jacobian(angles: Tensor) -> Tensor:
    """(3, 3): how an axis-angle (3,) that changes turns the rotation, as a rotation vector in the outer frame."""
    squared = (angles * angles).sum()
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    half = torch.sin(angle / 2)
    b = torch.where(small, 0.5 - squared / 24, 2 * half * half / safe)
    c = torch.where(small, 1 / 6 - squared / 120, (angle - torch.sin(angle)) / (safe * angle))
    x, y, z = angles.unbind()
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    return torch.eye(3, dtype=angles.dtype, device=angles.device) + b * cross + c * (cross @ cross)
