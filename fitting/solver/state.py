"""The unknowns: what is one a clip, what is one a frame, and how a step is applied to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.parameters import FaceParameters
from geometry.rotation import axis_angle, rotation_matrix

POSE, GAZE, LIGHT = 6, 4, 27
OWN = ("rotation", "translation", "expression", "joints", "gaze", "light")  # what each frame has of its own


@dataclass(frozen=True)
class Layout:
    """Where each block of unknowns stands in a row of the Jacobian: the shared ones first, then a frame's own."""

    identity: int
    reflectance: int
    expression: int
    joints: int = 0

    @property
    def shared(self) -> int:
        return self.identity + self.reflectance + 1

    @property
    def motion(self) -> int:
        """What moves a face's surface: expressions, then joints."""
        return self.expression + self.joints

    @property
    def frame(self) -> int:
        return POSE + self.motion + GAZE + LIGHT

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Columns of each block in [shared | frame]."""
        sizes = {
            "identity": self.identity,
            "reflectance": self.reflectance,
            "log_focal": 1,
            "rotation": 3,
            "translation": 3,
            "expression": self.expression,
            "joints": self.joints,
            "gaze": GAZE,
            "light": LIGHT,
        }
        out, start = {}, 0
        for name, size in sizes.items():
            out[name] = slice(start, start + size)
            start += size
        return {**out, "motion": slice(out["expression"].start, out["joints"].stop)}

    @cached_property
    def _own(self) -> dict[str, slice]:
        return {n: slice(at.start - self.shared, at.stop - self.shared) for n, at in self.slices.items()}

    def own(self, name: str) -> slice:
        """Columns of one of a frame's blocks in [frame]."""
        return self._own[name]


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The layout with what a model's blocks say: bounds, and mean and standard deviation of the prior; in double."""

    layout: Layout
    lower: Tensor  # (S + P,), -inf where there is none
    upper: Tensor  # (S + P,)
    mean: Tensor  # (S + P,) 0 where the model says nothing
    std: Tensor  # (S + P,) inf where the model says nothing

    @classmethod
    def of(cls, model: FaceModel) -> Unknowns:
        layout = Layout(*(model.count(block) for block in ("identity", "reflectance", "expression", "joints")))
        total = layout.shared + layout.frame
        lower, upper, mean, std = (torch.full((total,), x).double() for x in (-torch.inf, torch.inf, 0.0, torch.inf))
        for name, block in model.blocks.items():
            at = layout.slices[name]
            for whole, part in ((lower, block.lower), (upper, block.upper), (mean, block.mean), (std, block.std)):
                whole[at] = part.cpu().double().round(decimals=6)  # as they were written: 0.45, not its nearest float
        return cls(layout, *(x.to(model.mean.device) for x in (lower, upper, mean, std)))

    def prior_stds(self) -> dict[str, float | list[float]]:
        """Of identity, reflectance, expression and joints, plain numbers: one where a block's are all the same."""
        out = {}
        for name in ("identity", "reflectance", "expression", "joints"):
            stds = [round(s, 6) for s in self.part(self.std, name).tolist()]
            if stds:
                out[name] = stds[0] if len(set(stds)) == 1 else stds
        return out

    def part(self, values: Tensor, name: str) -> Tensor:
        """The entries of one block, of (S + P,) values."""
        return values[self.layout.slices[name]]

    @cached_property
    def _limits(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Bounds of expressions and joints, in single precision."""
        return {n: tuple(self.part(x, n).float() for x in (self.lower, self.upper)) for n in ("expression", "joints")}

    @cached_property
    def motion_std(self) -> Tensor:
        """(M,) of expressions and joints, in double."""
        return self.part(self.std, "motion")

    @cached_property
    def leaving_rest(self) -> Tensor:
        """(E,) in double: standard deviations a unit, of expressions that can't be less than at rest; 0 of others."""
        lower, mean, std = (self.part(x, "expression") for x in (self.lower, self.mean, self.std))
        return torch.where(lower == mean, 1 / std, 0.0)

    def clamped(self, state: FitState) -> dict[str, Tensor]:
        """A state's expressions and joints within their bounds, as copies by name; no joints of a model without any."""
        values = {"expression": state.expression} | ({"joints": state.joints} if self.layout.joints else {})
        return {name: torch.clamp(value, *self._limits[name]) for name, value in values.items()}

    def frame_bounds(self, state: FitState, held: Tensor) -> tuple[Tensor, Tensor]:
        """Bounds (F, P) of a step of each frame's own unknowns, in double; what is ``held`` (P,) doesn't move."""
        values = self.lower.new_zeros(len(state), self.layout.frame)
        values[:, self.layout.own("motion")] = state.motion
        of_frame = (bound[self.layout.shared :] for bound in (self.lower, self.upper))
        lower, upper = ((bound - values).masked_fill_(held, 0.0) for bound in of_frame)
        return lower, upper

    def shared_bounds(self, state: FitState, held: Tensor) -> tuple[Tensor, Tensor]:
        """The same (S,) of a step of what the frames share."""
        values = torch.cat([state.identity, state.reflectance, state.log_focal[None]]).double()
        out = []
        for bound in (self.lower, self.upper):
            step = bound[: self.layout.shared] - values
            out.append(step.masked_fill_(held, 0.0))
        return out[0], out[1]


@dataclass(frozen=True)
class FitState:
    """Current estimate for F frames."""

    identity: Tensor  # (I,) in the model's unit, as a rule standard deviations
    reflectance: Tensor  # (A,) standard deviations
    detail: Tensor  # (N, 3) linear RGB, what each surface sample's albedo is beyond the model's
    brows: Tensor  # (P',) shares of the face's size: how much higher than on the model brows rest on this person
    log_focal: Tensor  # () log px
    rotation: Tensor  # (F, 3, 3), model axes
    translation: Tensor  # (F, 3) mm, camera frame
    expression: Tensor  # (F, E) within the model's bounds
    gaze: Tensor  # (F, 2, 2) rad
    light: Tensor  # (F, 9, 3)
    joints: Tensor  # (F, J) rad

    def __len__(self) -> int:
        return len(self.rotation)

    @property
    def motion(self) -> Tensor:
        """(F, E + J): expression, joints."""
        return torch.cat([self.expression, self.joints], 1) if self.joints.shape[1] else self.expression

    def frame(self, index: int) -> FitState:
        """One of the frames, as a state of one."""
        return replace(self, **{n: getattr(self, n)[index : index + 1] for n in OWN})

    def stepped(self, shared: Tensor | None, frame: Tensor, layout: Layout) -> FitState:
        """The state after a step: ``shared`` (S,), None for no change, and ``frame`` (F, P), in the layout's order.

        Rotations are multiplied from the left by the step's.
        """
        own = lambda name: frame[:, layout.own(name)]  # noqa: E731
        moved = replace(
            self,
            rotation=rotation_matrix(own("rotation")) @ self.rotation,
            translation=self.translation + own("translation"),
            expression=self.expression + own("expression"),
            joints=self.joints + own("joints"),
            gaze=self.gaze + own("gaze").view(-1, 2, 2),
            light=self.light + own("light").view(-1, 3, 9).transpose(1, 2),
        )
        if shared is None:
            return moved
        at = layout.slices
        return replace(
            moved,
            identity=self.identity + shared[at["identity"]],
            reflectance=self.reflectance + shared[at["reflectance"]],
            log_focal=self.log_focal + shared[at["log_focal"]][0],
        )

    def parameters(self) -> FaceParameters:
        return FaceParameters(
            identity=self.identity,
            reflectance=self.reflectance,
            expression=self.expression,
            rotation=axis_angle(self.rotation),
            translation=self.translation,
            illumination=self.light,
            gaze=self.gaze,
            focal=self.log_focal.exp(),
            joints=self.joints,
        )
