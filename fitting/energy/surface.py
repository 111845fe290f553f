"""What the terms need of a model's surface near a state: points and how identity and motion move them.

Enter a model and a `FitState`, leaves a `Shape`: surface samples, landmarks and vertices as *affine* functions of a
frame's motion (expressions, joints), with their derivatives by identity. Called by `fitting.tracking.frame.Fitter` at
every step. A linear model's bases are gathered once; any other is linearised anew at each frame's state, by
`FaceModel.linearize`. (What a large jointed model needs to be fast belongs into that method, and into `_relinearized`
here: its columns at the samples alone instead of those at all vertices.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from facemodel.base import FaceModel, Linearization
from fitting.energy.landmark_points import LandmarkPoints
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
class Surface:
    """N samples of a person's skin: nine numbers each (position, two tangents), and their albedo."""

    points: Affine  # K = 9
    albedo: Tensor  # (N, 3) linear RGB, with the samples' own (`fitting.solver.detail`)
    reflectance: Tensor  # (N, 3, A)

    def __len__(self) -> int:
        return len(self.albedo)


@dataclass(frozen=True)
class Shape:
    """All of a model that a step of the solver looks at."""

    surface: Surface
    marks: Affine  # K = 3, landmarks with the eyes straight ahead
    neutral: Tensor  # ([F,] V, 3) vertices at zero motion
    motion: Tensor  # ([F,] M, V, 3)

    def vertices(self, motion: Tensor) -> Tensor:
        """(F, V, 3) mm for motion (F, M), eyes straight ahead."""
        frames = "f" if self.motion.dim() == 4 else ""
        return self.neutral + torch.einsum(f"{frames}evk,fe->fvk", self.motion, motion)


class ModelSurface:
    """A model with the samples and landmarks that it's fitted by; keeps the shape that was asked for last."""

    def __init__(self, model: FaceModel, samples: dict[int, SurfaceSamples], marks: LandmarkPoints) -> None:
        """``samples``: the sets there are, by their size; a state's ``detail`` says which of them is meant."""
        self.model, self.samples, self.marks = model, samples, marks
        self._last: FitState | None = None
        self._shape: Shape | None = None
        if model.linear:
            zero = model.mean.new_zeros
            whole = model.linearize(*(zero(model.count(b)) for b in ("identity", "expression", "joints")))
            self._whole = whole.vertices, whole.identity, motion_basis(whole)
            self._marks = Affine(*(marks.gather(values) for values in self._whole))
            self._sets = {count: Affine(*(s.gather(v) for v in self._whole)) for count, s in samples.items()}

    def shape(self, state: FitState) -> Shape:
        """Of F frames with a state's identity. Of a model that isn't linear: true near that very state."""
        last = self._last
        if last is None or (last is not state and not (self.model.linear and _same_person(last, state))):
            self._shape = self._linear(state) if self.model.linear else self._relinearized(state)
            self._last = state
        return self._shape

    def _surface(self, state: FitState, points: Affine) -> Surface:
        s = self.samples[len(state.detail)]
        return Surface(points, s.albedo_mean + s.albedo @ state.reflectance + state.detail, s.albedo)

    def _linear(self, state: FitState) -> Shape:
        vertices, identity, motion = self._whole

        def of_person(zero: Affine) -> Affine:
            return Affine(zero.neutral + zero.identity @ state.identity, zero.identity, zero.motion)

        return Shape(
            self._surface(state, of_person(self._sets[len(state.detail)])),
            of_person(self._marks),
            vertices + torch.einsum("ivk,i->vk", identity, state.identity),
            motion,
        )

    def _relinearized(self, state: FitState) -> Shape:
        samples, parts = self.samples[len(state.detail)], []
        for f in range(len(state)):
            with torch.inference_mode(False):  # in which nothing can be differentiated, nor what was made in it
                there = self.model.linearize(
                    *(x.clone() for x in (state.identity, state.expression[f], state.joints[f]))
                )
            basis, motion = motion_basis(there), state.motion[f]
            neutral = there.vertices - torch.einsum("evk,e->vk", basis, motion)
            whole = neutral, there.identity, basis
            parts.append((*(samples.gather(v) for v in whole), *(self.marks.gather(v) for v in whole), neutral, basis))
        together = [torch.stack(part) for part in zip(*parts)]
        return Shape(self._surface(state, Affine(*together[:3])), Affine(*together[3:6]), *together[6:])


def motion_basis(there: Linearization) -> Tensor:
    """(M, V, 3): derivatives by expressions, then by joints."""
    return torch.cat([there.expression, there.joints]) if len(there.joints) else there.expression


def _same_person(a: FitState, b: FitState) -> bool:
    """Whether a linear model's shape is the same in both states."""
    return a.identity is b.identity and a.reflectance is b.reflectance and a.detail is b.detail
