"""Combinations of a jointed model's vertices at any state, without the mesh.

A vertex is the sum over joints of weight x (turned x + moved), x where it is at rest. So a combination of vertices is
the sum over joints of turned X + mass moved, where X = sum of coefficient x weight x rest, and mass the sum of
coefficient x weight: a few numbers a joint, which are linear in identity, expression and correctives and are gathered
once. Combinations that are a vertex each are placed as vertices are, which is less. See `facemodel.combinations`;
`JointedModel.combinations` makes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
class _Rest:
    """N combinations of the surface before anything turns; ``motion``'s last numbers are of the bent joints' M."""

    mean: Tensor  # (N, 3) mm
    identity: Tensor  # (N, 3, I)
    motion: Tensor  # (N, 3, E + 9 C)

    @classmethod
    def of(cls, model: JointedModel, rows: sparse.csr_matrix, bent: Tensor | None) -> _Rest:
        """``bent``: those of the model's correctives that count, (9 C, V, 3)."""
        motion = model.expression_basis if bent is None else torch.cat([model.expression_basis, bent])
        return cls(*(gather(rows, x) for x in (model.mean, model.identity_basis, motion)))


@dataclass(frozen=True)
class _Share:
    """What one joint carries of the combinations, N of which have any of it."""

    joint: int
    at: Tensor  # (N,) int64, which combinations
    mass: Tensor  # (N,)
    rest: _Rest


class JointedCombinations:
    """See `facemodel.combinations.Combinations`."""

    def __init__(self, model: JointedModel, rows: sparse.csr_matrix) -> None:
        self.model, self.rows, self.count = model, rows, rows.shape[0]
        # The eyes look straight ahead, so theirs say nothing.
        self.correcting = [k for k in model.correcting if k in model.skeleton.free]
        self._bent = None
        if self.correcting:
            each = model.pose_correctives.unflatten(0, (-1, 9))
            self._bent = each[[model.correcting.index(k) for k in self.correcting]].flatten(0, 1)
        self._person: tuple[Tensor, list[_Rest], list[Tensor]] | None = None  # the last identity, what was with it
        self._carried: tuple[Place, Pose, list[Tensor]] | None = None  # where derivatives or places were asked for last

    @cached_property
    def single(self) -> tuple[list[_Rest], Tensor] | None:
        """Of combinations that are a vertex each: those alone, and how much each joint carries of them (R, J)."""
        if (self.rows.getnnz(1) != 1).any():
            return None
        rest = _Rest.of(self.model, self.rows, self._bent)
        return [rest], torch.as_tensor(self.rows @ self.model.skinning_weights.cpu().double().numpy()).to(rest.mean)

    @cached_property
    def shares(self) -> list[_Share]:
        """Of each joint that carries anything."""
        weights = self.model.skinning_weights.cpu().double().numpy()
        found = []
        for joint in range(weights.shape[1]):
            carried = self.rows.multiply(weights[None, :, joint]).tocsr()
            carried.eliminate_zeros()
            touched = carried.getnnz(1).nonzero()[0]
            if len(touched):
                at = torch.as_tensor(touched, device=self.model.mean.device).long()
                mass = torch.as_tensor(carried[touched].sum(1).A1).to(self.model.mean)
                found.append(_Share(joint, at, mass, _Rest.of(self.model, carried[touched], self._bent)))
        return found

    @cached_property
    def parts(self) -> list[_Rest]:
        return [s.rest for s in self.shares]

    @cached_property
    def mass(self) -> Tensor:
        """(R, S) of all shares."""
        mass = self.model.mean.new_zeros(self.count, len(self.shares))
        for k, s in enumerate(self.shares):
            mass[s.at, k] = s.mass
        return mass

    def positions(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        if self.single is None:
            return self._sum(self._at((identity, expression, joints))[1])
        pose, (whole, weights) = self.model.pose(identity, expression, joints), self.single
        (x,) = self._resting(whole, pose, identity, expression)
        blended = (weights @ pose.turned.flatten(1)).view(-1, 3, 3)
        return (blended @ x[..., None])[..., 0] + weights @ pose.moved

    def by_identity(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        pose, _ = self._at((identity, expression, joints))
        return self._turned(pose, [s.rest.identity for s in self.shares], self.model.joint_identity_basis)

    def by_motion(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Tensor:
        """See `Combinations`."""
        skeleton, count = self.model.skeleton, len(expression)
        pose, carried = self._at((identity, expression, joints))
        own = self._turned(pose, [s.rest.motion[..., :count] for s in self.shares], self.model.joint_expression_basis)
        slopes = []
        for joint in skeleton.free:
            below = skeleton.below(joint)
            arms = [
                p - s.mass[:, None] * pose.at[joint] if s.joint in below else None for s, p in zip(self.shares, carried)
            ]
            world = pose.axes[joint] @ pose.turned[skeleton.parents[joint]].T
            arm = self._sum(arms)[..., None].expand(-1, 3, 3)
            slope = torch.linalg.cross(world.T.expand_as(arm), arm, dim=1)
            if joint in self.correcting:
                first, bent = count + 9 * self.correcting.index(joint), self.model.bending(pose, joint)
                slope = slope + self._turned(
                    pose, [s.rest.motion[..., first : first + 9] @ bent.T for s in self.shares]
                )
            slopes.append(slope)
        slopes = torch.cat(slopes, -1)
        for k in self.model.driving:
            own[..., k] += slopes @ self.model.joint_drive[k]
        return torch.cat([own, slopes], -1)

    def holds(self, there: Place, here: Place) -> bool:
        """See `Combinations`."""
        a, b = (self.model.angles(*place[1:]) for place in (there, here))
        return bool((a - b).abs().amax() < SAME) if len(a) else True

    def _at(self, place: Place) -> tuple[Pose, list[Tensor]]:
        """The joints, and (N, 3) a share: where its joint carries it."""
        known = self._carried
        if known is None or any(a is not b for a, b in zip(known[0], place)):
            pose = self.model.pose(*place)
            at = self._resting(self.parts, pose, *place[:2])
            carried = [
                x @ pose.turned[s.joint].T + s.mass[:, None] * pose.moved[s.joint] for s, x in zip(self.shares, at)
            ]
            self._carried = known = place, pose, carried
        return known[1:]

    def _resting(self, parts: list[_Rest], pose: Pose, identity: Tensor, expression: Tensor) -> list[Tensor]:
        """(N, 3) a part: where it is before it turns."""
        if self._person is None or self._person[0] is not identity or self._person[1] is not parts:
            self._person = identity, parts, [p.mean + p.identity @ identity for p in parts]
        motion = expression
        if self.correcting:
            still = torch.eye(3, dtype=pose.own.dtype, device=pose.own.device)
            motion = torch.cat([expression, (pose.own[self.correcting] - still).flatten()])
        return [person + part.motion @ motion for person, part in zip(self._person[2], parts)]

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
