"""Lids and lips that touch: closed on one face is closed on another.

An expression's coefficients say how far something moves, and how far lids must move to touch depends on whose they are.
So what is carried from a person to another, to a phone's curves or from them isn't the coefficient of a closed eye but
that it is closed: the opening between upper and lower landmarks is measured on the model's surface, and the
coefficients that close the other's own opening are solved for. Mixing (`mixing`, `online_mixing`), expressions counted
from rest (`edits.from_neutral`) and curves (`curves`) use it. Only models with ARKit's names and with landmarks of a
known scheme have contacts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.landmark_schemes import SCHEMES, LandmarkScheme

CONTACTS = ("left lids", "right lids", "lips")
LIDS = (0, 1)
LIPS = 2


@dataclass(frozen=True)
class ContactPolicy:
    """How near is touching: at and below the first openness things touch, from the second on they're left alone.

    The default model's eyeballs vanish behind the lids at 0.07 to 0.2 of the open eye's height, and fits of closed eyes
    come to rest about there; something shows between its lips from 0.01 of the mouth's width on.
    """

    lids: tuple[float, float] = (0.2, 0.4)  # share of the open eye's height
    lips: tuple[float, float] = (0.01, 0.04)  # share of the mouth's width


@dataclass(frozen=True)
class _Step:
    """A coefficient that closes a contact, and the way it may go for that."""

    index: int
    lower: float
    upper: float


_LADDERS = (
    (("eyeBlinkLeft", 1), ("eyeWideLeft", -1)),
    (("eyeBlinkRight", 1), ("eyeWideRight", -1)),
    (("mouthClose", 1), ("jawOpen", -1)),
)
"""For each contact: what closes it, in the order in which it's tried, as it grows (1) or falls (-1)."""


@dataclass(frozen=True)
class Contacts:
    """Where one person's lids and lips touch; F frames, K = 3 contacts, in the order of `CONTACTS`."""

    points: Callable[[Tensor, Tensor], Tensor]  # expression (F, E), joints (F, J) -> (F, L, 3) mm
    scheme: LandmarkScheme
    up: Tensor  # (K, 3) unit, model frame: the way in which each opens
    zero: Tensor  # (K,) mm of opening where they touch
    unit: Tensor  # (K,) mm of opening that are an openness of 1
    ladders: tuple[tuple[_Step, ...], ...]
    policy: ContactPolicy

    @classmethod
    def of(
        cls, model: FaceModel, identity: Tensor, rest: Tensor | None = None, policy: ContactPolicy = ContactPolicy()
    ) -> Contacts | None:
        """Of a person: identity (I,), rest (E,) their expression at rest. None where the model has no contacts."""
        arkit, block = model.arkit, model.blocks["expression"]
        schemes = [SCHEMES[name] for name in model.embeddings if name in SCHEMES]
        scheme = max(schemes, key=lambda scheme: scheme.count, default=None)
        if scheme is None or any(name not in arkit for ladder in _LADDERS for name, _ in ladder):
            return None
        lower, upper, mean = (t.tolist() for t in (block.lower, block.upper, block.mean))
        ladders = tuple(
            tuple(
                _Step(k, mean[k] if way < 0 else lower[k], upper[k])
                for k, way in ((arkit[name], way) for name, way in ladder)
            )
            for ladder in _LADDERS
        )
        points = _surface_points(model, identity, scheme.name)
        neutral = block.mean.to(identity)[None]
        joints = _resting_joints(model).to(identity)[None]
        marks = points(neutral, joints)[0]
        across = torch.stack([marks[a] - marks[b] for a, b in (*scheme.eye_corners, scheme.mouth_corners)])
        sideways = torch.nn.functional.normalize(across, dim=-1)
        up = sideways.new_tensor([0.0, 1.0, 0.0])
        up = torch.nn.functional.normalize(up - (sideways @ up)[:, None] * sideways, dim=-1)
        self = cls(points, scheme, up, marks.new_zeros(3), marks.new_ones(3), ladders, policy)
        shut = neutral.clone()
        for k in LIDS:
            shut[:, ladders[k][0].index] = ladders[k][0].upper
        open_, closed = self.opening(neutral, joints)[0], self.opening(shut, joints)[0]
        if rest is not None:
            open_ = torch.maximum(open_, self.opening(rest[None], joints)[0])
        zero = torch.cat([closed[:LIPS].clamp_min(0), self.opening(neutral, joints)[0, LIPS:]])
        unit = torch.cat([open_[:LIPS] - zero[:LIPS], across[LIPS:].norm(dim=-1)]).clamp_min(1e-3)
        return cls(points, scheme, up, zero, unit, ladders, policy)

    def opening(self, expression: Tensor, joints: Tensor) -> Tensor:
        """(F, K) mm between upper and lower landmarks, along ``up``; negative where they pass each other."""
        marks = self.points(expression, joints)
        found = []
        for k, pairs in enumerate((*self.scheme.eye_pairs, self.scheme.lip_pairs)):
            above, below = (list(side) for side in zip(*pairs))
            found.append((marks[:, above] - marks[:, below]).mean(1) @ self.up[k])
        return torch.stack(found, -1)

    def looseness(self, expression: Tensor, joints: Tensor) -> Tensor:
        """(F, K) in [0, 1]: 0 where they touch, 1 where they are open enough to be left alone."""
        return self.loosened((self.opening(expression, joints) - self.zero) / self.unit)

    def loosened(self, openness: Tensor) -> Tensor:
        """`looseness` (F, K) of an openness (F, K): 0 touches, 1 is an open eye, a mouth as high as it's wide."""
        ends = openness.new_tensor([self.policy.lids, self.policy.lids, self.policy.lips])
        return ((openness - ends[:, 0]) / (ends[:, 1] - ends[:, 0])).clamp(0, 1)

    def close(self, expression: Tensor, joints: Tensor, looseness: Tensor) -> Tensor:
        """Expression (F, E) whose openings are what they are times looseness (F, K): 0 makes them touch.

        Lids that pass each other where they should touch are opened until they do; lips pressed together stay so.
        """
        wanted = self.zero + looseness * (self.opening(expression, joints) - self.zero)
        pressed = torch.tensor([False, False, True], device=wanted.device) | (looseness >= 1)
        expression = expression.clone()
        for k, ladder in enumerate(self.ladders):
            for step in ladder:
                now = self.opening(expression, joints)[:, k]
                excess = now - wanted[:, k]
                excess = torch.where(pressed[..., k], excess.clamp_min(0), excess)
                # By the secant over the step's whole way: exact where the model is linear.
                ends = [expression.clone(), expression.clone()]
                ends[0][:, step.index], ends[1][:, step.index] = step.lower, step.upper
                fall = self.opening(ends[0], joints)[:, k] - self.opening(ends[1], joints)[:, k]
                change = excess * (step.upper - step.lower) / torch.where(fall.abs() < 1e-3, torch.inf, fall)
                old = expression[:, step.index]
                expression[:, step.index] = torch.where(change == 0, old, (old + change).clamp(step.lower, step.upper))
        return expression


def carry_contacts(source: tuple[Contacts, Tensor, Tensor], target: tuple[Contacts, Tensor, Tensor]) -> Tensor:
    """The target's expression (F, E), closed where the source's is; each has contacts, expression and joints."""
    of_source, of_target = source[0], target[0]
    return of_target.close(target[1], target[2], of_source.looseness(source[1], source[2]))


def _resting_joints(model: FaceModel) -> Tensor:
    joints = model.blocks.get("joints")
    return model.mean.new_zeros(0) if joints is None else joints.mean


def _surface_points(model: FaceModel, identity: Tensor, scheme: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of expression (F, E) and joints (F, J): a person's landmarks (F, L, 3), model frame."""
    identity = identity.to(model.mean)
    if not model.linear:

        def exact(expression: Tensor, joints: Tensor) -> Tensor:
            chunks = zip(expression.to(model.mean).split(64), joints.to(model.mean).split(64))
            marks = [model.landmarks(model.vertices(identity, e, None, j if j.shape[-1] else None), scheme)
                     for e, j in chunks]  # fmt: skip
            return torch.cat(marks).to(expression)

        return exact
    rest, joints = model.blocks["expression"].mean, _resting_joints(model)
    surface = model.linearize(identity, rest, joints)
    base = model.landmarks(surface.vertices, scheme)
    by_expression = model.landmarks(surface.expression, scheme).flatten(1)
    by_joints = model.landmarks(surface.joints, scheme).flatten(1)

    def linear(expression: Tensor, turned: Tensor) -> Tensor:
        moved = (expression.to(base) - rest) @ by_expression
        if len(by_joints):
            moved = moved + (turned.to(base) - joints) @ by_joints
        return (base + moved.unflatten(-1, base.shape)).to(expression)

    return linear
