"""The solver of a clip: identity, reflectance and focal length once over key frames, then each frame's own unknowns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from facemodel.gaze import EYE_LOOK_NAMES, gaze_to_eye_look
from facemodel.model import MorphableModel

from .energy import SurfaceGeometry, Weights, landmarks, photometric
from .observation import Observation
from .priors import Priors, frame_prior, motion_slack, shared_prior, temporal_prior
from .samples import landmark_samples, surface_samples
from .solver import NormalEquations, solve_frames, solve_joint
from .start import initial_state
from .state import FitState, Layout
from .visibility import visible_samples

LOOSE = 4.0  # slack of the temporal prior while the landmarks give a first estimate


@dataclass(frozen=True)
class Settings:
    """How much work is done, and how the terms weigh. `benchmarks.tracking` says what the defaults cost."""

    samples: int = 1500
    levels: tuple[int, ...] = (64, 128)  # px of the face's square, coarse to fine
    landmark_steps: int = 2  # before the photometric term joins
    steps: tuple[int, ...] = (1, 2)  # a level, while tracking
    joint_steps: tuple[int, ...] = (6, 6)  # a level, over the key frames
    key_frames: int = 8
    weights: Weights = field(default_factory=Weights)
    priors: Priors = field(default_factory=Priors)


@dataclass(frozen=True)
class FrameResult:
    """A fitted frame with how well it fits."""

    state: FitState
    energies: dict[str, float]  # photometric (of 255, robust mean), landmarks (share of the face's size), total


class Fitter:
    """Holds what stays the same from frame to frame, so that a step is a few small matrix products.

    Args:
        model: on the device to work on.
        scheme: the detector's landmark scheme.
        focal: px, where it is known; None has it solved for about ``focal_guess``.
    """

    def __init__(
        self,
        model: MorphableModel,
        scheme: str,
        focal_guess: float,
        focal: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.model, self.settings = model, settings or Settings()
        self.focal_known = focal is not None
        self.focal_guess = focal or focal_guess
        self.samples = surface_samples(model, self.settings.samples)
        self.marks = landmark_samples(model, scheme)
        self.layout = Layout(
            model.identity_basis.shape[0], model.albedo_basis.shape[0], model.expression_basis.shape[0]
        )
        self.columns = self.layout.slices()
        names = model.expression_names
        self.eye_look = torch.tensor([names.index(n) for n in EYE_LOOK_NAMES], device=model.mean.device)
        own = self.columns["expression"].start - self.layout.shared
        self.expression_columns = slice(own, own + self.layout.expression)
        # The eyeLook shapes follow the gaze and aren't unknowns of their own.
        self.held_frame = torch.zeros(self.layout.frame, dtype=torch.bool, device=model.mean.device)
        self.held_frame[own + self.eye_look] = True
        self._shown: tuple[Tensor, Tensor] | None = None

    # -- what depends on identity only, kept between frames ---------------------------------------------------

    def _shape(self, state: FitState) -> tuple[SurfaceGeometry, Tensor, Tensor]:
        """Sample geometry, neutral vertices (V, 3), neutral landmarks (L, 3) for a state's identity."""
        if self._shown is None or state.identity is not self._shown[0] or state.reflectance is not self._shown[1]:
            self._shown = state.identity, state.reflectance
            vertices = self.model.mean + torch.einsum("ivk,i->vk", self.model.identity_basis, state.identity)
            marks = self.marks.mean + self.marks.identity @ state.identity
            self._cached = SurfaceGeometry(self.samples, *self._shown), vertices, marks
        return self._cached

    def _with_eye_look(self, state: FitState) -> FitState:
        look = gaze_to_eye_look(state.gaze)
        expression = state.expression.clone()
        expression[:, self.eye_look] = torch.stack([look[n] for n in EYE_LOOK_NAMES], -1)
        return replace(state, expression=expression)

    # -- one frame ----------------------------------------------------------------------------------------------

    def start(self, seen: Observation, like: FitState | None = None) -> FitState:
        """A first estimate of each frame from its landmarks; identity and light from ``like`` where it's given."""
        sizes = (self.layout.identity, self.layout.reflectance)
        if like is None:
            return initial_state(self.marks, self.marks.mean, seen, self.focal_guess, sizes)
        _, _, neutral = self._shape(like)
        fresh = initial_state(self.marks, neutral, seen, float(like.log_focal.exp()), sizes)
        light = like.light[-1:].expand(len(seen), -1, -1)
        return replace(
            fresh, identity=like.identity, reflectance=like.reflectance, log_focal=like.log_focal, light=light
        )

    def track(
        self, seen: Observation, previous: FitState | None, start: FitState, seconds: float = 1 / 30
    ) -> FrameResult:
        """Pose, expression, gaze and light of a frame; ``start`` carries the identity.

        ``previous`` is the frame before, or None at the start of a shot; ``seconds`` the time since.
        """
        s = self.settings
        state, slack = start, LOOSE
        for _ in range(s.landmark_steps if previous is not None else 8):
            state, _ = self._frame_step(state, previous, seen, seconds, slack)
        if previous is not None:
            slack = motion_slack(state, previous, seconds, s.priors, self.layout)
        geometry, vertices, _ = self._shape(state)
        visible = visible_samples(self.model, vertices, geometry, state, seen)
        for level, steps in zip(s.levels, s.steps):
            for _ in range(steps if previous is not None else steps + 3):
                state, energies = self._frame_step(state, previous, seen, seconds, slack, level, visible)
        return FrameResult(state, energies)

    def _frame_step(
        self,
        state: FitState,
        previous: FitState | None,
        seen: Observation,
        seconds: float,
        slack: Tensor | float,
        level: int | None = None,
        visible: Tensor | None = None,
    ) -> tuple[FitState, dict[str, float]]:
        s = self.settings
        geometry, _, neutral = self._shape(state)
        terms, distances = landmarks(self.marks, neutral, state, seen, s.weights, self.layout, shared=False)
        rows, energies = [terms], {"landmarks": distances}
        held = self.held_frame
        if level is not None:
            colour, errors = photometric(geometry, state, seen, level, visible, s.weights, self.layout, shared=False)
            rows.append(colour)
            energies["photometric"] = errors
        else:
            held = held.clone()
            light = self.columns["light"]
            held[light.start - self.layout.shared : light.stop - self.layout.shared] = True
        equations = NormalEquations.of(rows)
        prior, slope = frame_prior(state, s.priors, self.layout)
        if previous is not None:
            hold, hold_slope = temporal_prior(state, previous, seconds, s.priors, self.layout, slack)
            prior, slope = prior + torch.diag_embed(hold), slope + hold_slope
        step = solve_frames(equations, prior, slope, state.expression, self.expression_columns, held)
        return self._with_eye_look(state.stepped(None, step, self.layout)), self._summary(energies, equations)

    def _summary(self, energies: dict[str, Tensor], equations: NormalEquations) -> dict[str, float]:
        out = {"landmarks": float((energies["landmarks"] * self.marks.weights).sum() / self.marks.weights.sum()) ** 0.5}
        if "photometric" in energies:
            out["photometric"] = float((energies["photometric"].sum() / 3).sqrt()) * 255
        out["energy"] = float(equations.energy.sum())
        return out

    # -- key frames -----------------------------------------------------------------------------------------------

    def solve_shared(self, seen: Observation, progress=None) -> FitState:
        """Identity, reflectance and focal length over the key frames, with each frame's own unknowns."""
        s = self.settings
        state = self.start(seen)
        schedule = [(None, 0)] * 6 + [(None, 1)] * 6
        schedule += [(level, 2) for level, n in zip(s.levels, s.joint_steps) for _ in range(n)]
        for k, (level, stage) in enumerate(schedule):
            state = self._joint_step(state, seen, level, stage)
            if progress:
                progress(k + 1, len(schedule))
        return state

    def _joint_step(self, state: FitState, seen: Observation, level: int | None, stage: int) -> FitState:
        """``stage``: 0 pose and expression, 1 with identity and focal length, 2 with colour too."""
        s = self.settings
        geometry, vertices, neutral = self._shape(state)
        rows = [landmarks(self.marks, neutral, state, seen, s.weights, self.layout, shared=True)[0]]
        if level is not None:
            visible = visible_samples(self.model, vertices, geometry, state, seen)
            rows.append(photometric(geometry, state, seen, level, visible, s.weights, self.layout, shared=True)[0])
        equations = NormalEquations.of(rows)
        held = torch.zeros(self.layout.shared, dtype=torch.bool, device=state.identity.device)
        held_frame = self.held_frame.clone()
        if stage == 0:
            held[:] = True
        if stage < 2:
            held[self.columns["reflectance"]] = True
            light = self.columns["light"]
            held_frame[light.start - self.layout.shared : light.stop - self.layout.shared] = True
        if self.focal_known:
            held[self.columns["log_focal"]] = True
        shared, frame = solve_joint(
            equations,
            shared_prior(state, self.focal_guess, s.priors, self.layout),
            frame_prior(state, s.priors, self.layout),
            state.expression,
            self.expression_columns,
            held,
            held_frame,
            damping=1e-3,
        )
        return self._with_eye_look(state.stepped(shared, frame, self.layout))
