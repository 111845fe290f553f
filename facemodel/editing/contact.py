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

LIDS = (0, 1)  # the left eye's, the right eye's
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
    """Where one person's lids and lips touch; F frames, K = 3 contacts: left lids, right lids, lips."""

    opening: Callable[[Tensor, Tensor], Tensor]
    """Expression (F, E) and joints (F, J) to (F, K) mm between upper and lower landmarks, along the way in which they
    open; negative where they pass each other."""
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
        neutral, joints = block.mean.to(identity)[None], _resting_joints(model).to(identity)[None]
        marks = model.landmarks(model.vertices(identity.to(model.mean)), scheme.name)
        across = torch.stack([marks[a] - marks[b] for a, b in (*scheme.eye_corners, scheme.mouth_corners)])
        opening = _openings(model, identity, scheme, across)
        shut = neutral.clone()
        for k in LIDS:
            shut[:, ladders[k][0].index] = ladders[k][0].upper
        open_, closed = opening(neutral, joints)[0], opening(shut, joints)[0]
        zero = torch.cat([closed[:LIPS].clamp_min(0), open_[LIPS:]])  # lips at rest touch
        if rest is not None:
            open_ = torch.maximum(open_, opening(rest[None], joints)[0])
        unit = torch.cat([open_[:LIPS] - zero[:LIPS], across[LIPS:].norm(dim=-1).to(zero)]).clamp_min(1e-3)
        return cls(opening, zero, unit, ladders, policy)

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
        if (looseness >= 1).all():
            return expression
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


def _openings(
    model: FaceModel, identity: Tensor, scheme: LandmarkScheme, across: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """`Contacts.opening` of a person; across (K, 3) from one corner to the other of each eye, of the mouth."""
    sideways = torch.nn.functional.normalize(across, dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0]).to(sideways)
    up = torch.nn.functional.normalize(up - (sideways @ up)[:, None] * sideways, dim=-1)
    pairs = [[list(side) for side in zip(*found)] for found in (*scheme.eye_pairs, scheme.lip_pairs)]
    identity = identity.to(model.mean)

    def gaps(surface: Tensor) -> Tensor:  # (..., V, 3) -> (..., K)
        marks = model.landmarks(surface, scheme.name)
        found = [(marks[..., a, :] - marks[..., b, :]).mean(-2) @ up[k] for k, (a, b) in enumerate(pairs)]
        return torch.stack(found, -1)

    if not model.linear:

        def exact(expression: Tensor, joints: Tensor) -> Tensor:
            chunks = zip(expression.to(model.mean).split(64), joints.to(model.mean).split(64))
            found = [gaps(model.vertices(identity, e, None, j if j.shape[-1] else None)) for e, j in chunks]
            return torch.cat(found).to(expression)

        return exact
    rest, joints = model.blocks["expression"].mean, _resting_joints(model)
    surface = model.linearize(identity, rest, joints)
    base, by_expression, by_joints = (
        gaps(part).cpu() for part in (surface.vertices, surface.expression, surface.joints)
    )
    rest, joints = rest.cpu(), joints.cpu()

    def linear(expression: Tensor, turned: Tensor) -> Tensor:
        found = base.to(expression) + (expression - rest.to(expression)) @ by_expression.to(expression)
        return found + (turned - joints.to(turned)) @ by_joints.to(turned) if len(by_joints) else found

    return linear
