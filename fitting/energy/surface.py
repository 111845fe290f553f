"""What the terms need of a model's surface near a state: points and how identity and motion move them.

Enter a model and a `FitState`, leaves a `Shape`: surface samples and landmarks as *affine* functions of a frame's
motion (expressions, joints), with their derivatives by identity. Called by `fitting.tracking.frame.Fitter` at every
step. Whatever a model's size, it's looked at there and at the mesh that hides things, and nowhere else. A linear
model's bases are gathered once. Any other's combinations (`FaceModel.combinations`) are worked out anew at each frame's
state; while frames are tracked, once the state has left where the last ones hold.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from facemodel.base import FaceModel, Linearization
from facemodel.combinations import Combinations
from fitting.energy.landmark_points import LandmarkPoints
from fitting.energy.occluder import Occluder
from fitting.energy.samples import SurfaceSamples
from fitting.solver.state import FitState


@dataclass(frozen=True, eq=False)
class Affine:
    """N points that move linearly with a frame's motion; with a leading F where each frame has its own."""

    neutral: Tensor  # ([F,] N, K) at zero motion
    identity: Tensor  # ([F,] N, K, I) derivative by identity
    motion: Tensor  # ([F,] N, K, M) derivative by motion

    def at(self, motion: Tensor) -> Tensor:
        """(F, N, K) for (F, M)."""
        frames = "f" if self.motion.dim() == 4 else ""
        return self.neutral + torch.einsum(f"{frames}nkj,fj->fnk", self.motion, motion)

    def every(self, step: int) -> Affine:
        """Each ``step``-th of the N points."""
        return self._part(slice(None, None, step), slice(None))

    @cached_property
    def positions(self) -> Affine:
        """The first three of the K numbers."""
        return self._part(slice(None), slice(0, 3))

    def _part(self, points: slice, numbers: slice) -> Affine:
        """To be kept: the motion lies as it's multiplied by fastest, a coefficient's numbers side by side."""
        motion = self.motion[..., points, numbers, :].movedim(-1, -3).contiguous().movedim(-3, -1)
        return Affine(self.neutral[..., points, numbers], self.identity[..., points, numbers, :], motion)

    def frame(self, index: int) -> Affine:
        """One frame's, without a leading F."""
        if self.motion.dim() == 3:
            return self
        return Affine(self.neutral[index], self.identity[index], self.motion[index])


@dataclass(frozen=True)
class SampledSurface:
    """N samples of a person's skin: nine numbers each (position, two tangents), and their albedo."""

    points: Affine  # K = 9
    albedo: Tensor  # (N, 3) linear RGB, with the samples' own (`fitting.solver.detail`)
    reflectance: Tensor  # (N, 3, A)

    def __len__(self) -> int:
        return len(self.albedo)


MARKS = 0
"""What stands for the landmarks where sets of samples go by their size."""


class Shape:
    """All of a model that a step of the solver looks at; each part is worked out when it's first asked for."""

    def __init__(self, of: ModelSurface, state: FitState, shared: bool) -> None:
        self._of, self._state, self._shared = of, state, shared

    @cached_property
    def surface(self) -> SampledSurface:
        state = self._state
        s, points = self._of.samples[len(state.detail)], self._of.points(len(state.detail), state, self._shared)
        return SampledSurface(points, s.albedo_mean + s.albedo @ state.reflectance + state.detail, s.albedo)

    @cached_property
    def marks(self) -> Affine:
        """K = 3, landmarks with the eyes straight ahead."""
        return self._of.points(MARKS, self._state, self._shared)


class ModelSurface(ABC):
    """A model with the samples and landmarks that it's fitted by; keeps the shape that was asked for last."""

    def __init__(
        self, model: FaceModel, samples: dict[int, SurfaceSamples], marks: LandmarkPoints, occluder: Occluder
    ) -> None:
        """``samples``: the sets there are, by their size; a state's ``detail`` says which of them is meant."""
        self.model, self.samples, self.marks, self.occluder = model, samples, marks, occluder
        self._forget()

    def fresh(self) -> ModelSurface:
        """The same for another fit, which knows nothing of what was asked for last."""
        other = copy.copy(self)
        other._forget()
        return other

    def _forget(self) -> None:
        self._last: tuple[FitState, bool, Shape] | None = None

    def shape(self, state: FitState, shared: bool = True) -> Shape:
        """Of F frames with a state's identity. Of a model that isn't linear: true near that very state.

        ``shared``: whether the derivatives by identity are wanted.
        """
        if self._last is None or not self._same(*self._last[:2], state, shared):
            self._last = state, shared, Shape(self, state, shared)
        return self._last[2]

    @abstractmethod
    def _same(self, last: FitState, had: bool, state: FitState, shared: bool) -> bool:
        """Whether the shape of the last state, which was asked for with or without identity, does for this one."""

    @abstractmethod
    def points(self, what: int, state: FitState, shared: bool) -> Affine:
        """`MARKS`, or the set of so many samples (K = 9)."""

    @abstractmethod
    def head(self, state: FitState) -> Tensor:
        """(F, V', 3) mm: the occluder's vertices, eyes straight ahead."""


class _Linear(ModelSurface):
    def __init__(self, model, samples, marks, occluder) -> None:
        super().__init__(model, samples, marks, occluder)
        zero = model.mean.new_zeros
        there = model.linearize(*(zero(model.count(b)) for b in ("identity", "expression", "joints")))
        whole = there.vertices, there.identity, motion_basis(there)
        self._sets = {count: Affine(*(s.gather(v) for v in whole)) for count, s in samples.items()}
        self._sets[MARKS] = Affine(*(marks.gather(values) for values in whole))
        self._head = tuple(values.index_select(-2, occluder.vertices) for values in whole)

    def _forget(self) -> None:
        super()._forget()
        self._person: tuple[Tensor, Tensor] | None = None  # the last identity, and its head at rest

    def _same(self, last: FitState, had: bool, state: FitState, shared: bool) -> bool:
        return last is state or (
            last.identity is state.identity and last.reflectance is state.reflectance and last.detail is state.detail
        )

    def points(self, what: int, state: FitState, shared: bool) -> Affine:
        zero = self._sets[what]
        return Affine(zero.neutral + zero.identity @ state.identity, zero.identity, zero.motion)

    def head(self, state: FitState) -> Tensor:
        vertices, identity, motion = self._head
        if self._person is None or self._person[0] is not state.identity:
            self._person = state.identity, vertices + torch.einsum("ivk,i->vk", identity, state.identity)
        return self._person[1] + torch.einsum("evk,fe->fvk", motion, state.motion)


class _Bent(ModelSurface):
    def _forget(self) -> None:
        super()._forget()
        self._made: dict[str | int, Combinations] = {}
        self._tracked: dict[int, tuple[tuple[Tensor, Tensor, Tensor], Affine]] = {}  # of the frame before, and where

    def _of(self, what: str | int) -> Combinations:
        """Gathered when they are first asked for: a clip needs one set of samples of three, as a rule."""
        if what not in self._made:
            count = len(self.model.mean)
            rows = {"head": self.occluder.rows, MARKS: self.marks.rows}
            self._made[what] = self.model.combinations(rows[what](count) if what in rows else self.samples[what].rows)
        return self._made[what]

    def _same(self, last: FitState, had: bool, state: FitState, shared: bool) -> bool:
        return last is state and had >= shared

    def points(self, what: int, state: FitState, shared: bool) -> Affine:
        if shared or len(state) > 1:
            frames = [self._at(what, self._place(state, f), shared) for f in range(len(state))]
            return Affine(*(torch.stack([getattr(p, n) for p in frames]) for n in ("neutral", "identity", "motion")))
        place, of = self._place(state, 0), self._of(what)
        before = self._tracked.get(what)
        if before is None or before[0][0] is not place[0] or not of.holds(before[0], place):
            self._tracked[what] = before = place, self._at(what, place, shared)
        return before[1]

    @staticmethod
    def _place(state: FitState, frame: int) -> tuple[Tensor, Tensor, Tensor]:
        return state.identity, state.expression[frame], state.joints[frame]

    def _at(self, what: int, place: tuple[Tensor, Tensor, Tensor], shared: bool) -> Affine:
        of, moved = self._of(what), torch.cat(place[1:])
        value, motion = of.positions(*place), of.by_motion(*place)
        identity = of.by_identity(*place) if shared else value.new_zeros(*value.shape, 0)
        k = 3 if what == MARKS else 9
        parts = value - motion @ moved, identity, motion
        return Affine(*(part.reshape(3 * len(part) // k, k, *part.shape[2:]) for part in parts))

    def head(self, state: FitState) -> Tensor:
        of = self._of("head")
        return torch.stack([of.positions(*self._place(state, f)) for f in range(len(state))])


def model_surface(
    model: FaceModel, samples: dict[int, SurfaceSamples], marks: LandmarkPoints, occluder: Occluder
) -> ModelSurface:
    """``samples``: the sets there are, by their size."""
    return (_Linear if model.linear else _Bent)(model, samples, marks, occluder)


def motion_basis(there: Linearization) -> Tensor:
    """(M, V, 3): derivatives by expressions, then by joints."""
    return torch.cat([there.expression, there.joints]) if len(there.joints) else there.expression
