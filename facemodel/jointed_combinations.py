"""Combinations of a jointed model's vertices at any state, without the mesh.

A vertex is the sum over joints of weight x (turned x + moved), x where it is at rest. So a combination of vertices is
the sum over joints of turned X + mass moved, where X = sum of coefficient x weight x rest, and mass the sum of
coefficient x weight: a few numbers a joint, which are linear in identity, expression and correctives and are gathered
once. See `facemodel.combinations`; `JointedModel.combinations` makes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from facemodel.combinations import Place, gather

if TYPE_CHECKING:
    from scipy import sparse

    from facemodel.jointed import JointedModel, Pose


SAME = 0.02
"""rad: a point 100 mm from its joint leaves its tangent by 0.02 mm."""


@dataclass(frozen=True)
class _Share:
    """What one joint carries of the combinations, N of which have any of it."""

    joint: int
    at: Tensor  # (N,) int64, which combinations
    mass: Tensor  # (N,)
    mean: Tensor  # (N, 3) mm
    identity: Tensor  # (N, 3, I)
    expression: Tensor  # (N, 3, E)
    correctives: Tensor | None  # (N, 3, 9 C)


class JointedCombinations:
    """See `facemodel.combinations.Combinations`."""

    def __init__(self, model: JointedModel, rows: sparse.csr_matrix) -> None:
        self.model, self.count = model, rows.shape[0]
        weights = model.skinning_weights.cpu().double().numpy()
        self.shares = []
        for joint in range(weights.shape[1]):
            carried = rows.multiply(weights[None, :, joint]).tocsr()
            carried.eliminate_zeros()
            touched = carried.getnnz(1).nonzero()[0]
            if len(touched):
                self.shares.append(self._share(joint, touched, carried[touched]))
        self.mass = model.mean.new_zeros(self.count, len(self.shares))  # of all shares
        for k, s in enumerate(self.shares):
            self.mass[s.at, k] = s.mass
        self._person: tuple[Tensor, list[Tensor]] | None = None  # the last identity, and what each share is with it

    def _share(self, joint: int, touched, carried: sparse.csr_matrix) -> _Share:
        model, tensor = self.model, lambda a: torch.as_tensor(a, device=self.model.mean.device)
        bent = getattr(model, "pose_correctives", None)
        return _Share(
            joint,
            tensor(touched).long(),
            tensor(carried.sum(1).A1).to(model.mean),
            gather(carried, model.mean),
            gather(carried, model.identity_basis),
            gather(carried, model.expression_basis),
            None if bent is None else gather(carried, bent),
        )

    def positions(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        pose = self.model.pose(identity, expression, joints)
        return self._sum(self._carried(pose, identity, expression))

    def by_identity(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        pose = self.model.pose(identity, expression, joints)
        return self._turned(pose, [s.identity for s in self.shares], self.model.joint_identity_basis)

    def by_motion(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        pose, skeleton = self.model.pose(identity, expression, joints), self.model.skeleton
        slopes = [self._turned(pose, [s.expression for s in self.shares], self.model.joint_expression_basis)]
        carried = self._carried(pose, identity, expression)
        for joint in skeleton.free:
            below = skeleton.below(joint)
            arms = [
                p - s.mass[:, None] * pose.at[joint] if s.joint in below else None for s, p in zip(self.shares, carried)
            ]
            world = pose.axes[joint] @ pose.turned[skeleton.parents[joint]].T
            arm = self._sum(arms)[..., None].expand(-1, 3, 3)
            slope = torch.linalg.cross(world.T.expand_as(arm), arm, dim=1)
            if (bending := self.model.bending(pose, joint)) is not None:
                which, bent = bending
                slope = slope + self._turned(pose, [s.correctives[..., which] @ bent.T for s in self.shares])
            slopes.append(slope)
        return torch.cat(slopes, -1)

    def holds(self, there: Place, here: Place) -> bool:
        """See `Combinations`."""
        return bool((there[2] - here[2]).abs().amax() < SAME) if len(here[2]) else True

    def _carried(self, pose: Pose, identity: Tensor, expression: Tensor) -> list[Tensor]:
        """(N, 3) a share: where its joint carries it."""
        if self._person is None or self._person[0] is not identity:
            self._person = identity, [s.mean + s.identity @ identity for s in self.shares]
        bent = None
        if "pose_correctives" in self.model._buffers:
            still = torch.eye(3, dtype=pose.own.dtype, device=pose.own.device)
            bent = (pose.own[self.model.corrective_joints] - still).flatten()
        out = []
        for s, person in zip(self.shares, self._person[1]):
            rest = person + s.expression @ expression
            rest = rest if bent is None else rest + s.correctives @ bent
            out.append(rest @ pose.turned[s.joint].T + s.mass[:, None] * pose.moved[s.joint])
        return out

    def _turned(self, pose: Pose, slopes: list[Tensor], of_joints: Tensor | None = None) -> Tensor:
        """(R, 3, K) of derivatives (N, 3, K) at rest, a share, by coefficients that move joints by (K, J, 3)."""
        if of_joints is None:
            return self._sum([pose.turned[s.joint] @ slope for s, slope in zip(self.shares, slopes)])
        shift = self.model.shifts(pose, of_joints)[:, [s.joint for s in self.shares]]
        total = (self.mass @ shift.movedim(0, -1).flatten(1)).unflatten(1, (3, -1))
        for s, slope in zip(self.shares, slopes):
            turned = pose.turned[s.joint].expand(len(slope), 3, 3)
            if len(slope) == self.count:
                total.baddbmm_(turned, slope)
            else:
                total.index_add_(0, s.at, turned @ slope)
        return total

    def _sum(self, parts: list[Tensor | None]) -> Tensor:
        """Parts (N, 3, ...) a share, added up: (R, 3, ...)."""
        like = next(p for p in parts if p is not None)
        total = like.new_zeros(self.count, *like.shape[1:])
        for share, part in zip(self.shares, parts):
            if part is not None:
                total.index_add_(0, share.at, part)
        return total
