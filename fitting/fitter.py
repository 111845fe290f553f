"""The solver of a clip: identity, reflectance and focal length once over key frames, then each frame's own unknowns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facemodel.gaze import EYE_LOOK_NAMES, gaze_to_eye_look
from facemodel.model import MorphableModel

from .detail import Elimination, absorb
from .energy import SurfaceGeometry
from .observation import Observation
from .priors import frame_prior, motion_slack, shared_prior, temporal_prior
from .rows import landmark_rows, photometric_rows
from .samples import landmark_samples, surface_samples
from .settings import Settings
from .solver import NormalEquations, solve_frames, solve_joint, spread
from .start import initial_state
from .state import FitState, Layout
from .visibility import visible_samples

LOOSE = 4.0  # slack of the temporal prior while the landmarks give a first estimate
BY_PERSON = ("identity", "reflectance", "detail")  # what the samples' geometry depends on
AT_REST = 0.5  # a solver whose last step was shorter, in posterior standard deviations, has converged


@dataclass(frozen=True)
class FrameResult:
    """A fitted frame with how well it fits."""

    state: FitState
    energies: dict[str, float]  # see `Fitter.track`
    spread: Tensor  # (F, P) posterior standard deviations in the layout's order


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
        self._shown: FitState | None = None

    # -- what depends on identity only, kept between frames ---------------------------------------------------

    def _shape(self, state: FitState) -> tuple[SurfaceGeometry, Tensor, Tensor]:
        """Sample geometry, neutral vertices (V, 3), neutral landmarks (L, 3) for a state's identity."""
        last = self._shown
        if last is None or any(
            getattr(state, n) is not getattr(last, n) for n in ("identity", "reflectance", "detail")
        ):
            vertices = self.model.mean + torch.einsum("ivk,i->vk", self.model.identity_basis, state.identity)
            marks = self.marks.mean + self.marks.identity @ state.identity
            geometry = SurfaceGeometry(self.samples, state.identity, state.reflectance, state.detail)
            self._shown, self._cached = state, (geometry, vertices, marks)
        return self._cached

    def _with_eye_look(self, state: FitState) -> FitState:
        look = gaze_to_eye_look(state.gaze)
        expression = state.expression.clone()
        expression[:, self.eye_look] = torch.stack([look[n] for n in EYE_LOOK_NAMES], -1)
        return replace(state, expression=expression)

    # -- one frame ----------------------------------------------------------------------------------------------

    def start(self, seen: Observation, like: FitState | None = None) -> FitState:
        """A first estimate of each frame from its landmarks; identity and light from ``like`` where it's given."""
        sizes = (self.layout.identity, self.layout.reflectance, len(self.samples))
        if like is None:
            return initial_state(self.marks, self.marks.mean, seen, self.focal_guess, sizes)
        _, _, neutral = self._shape(like)
        fresh = initial_state(self.marks, neutral, seen, float(like.log_focal.exp()), sizes)
        light = like.light[-1:].expand(len(seen), -1, -1)
        known = {n: getattr(like, n) for n in ("identity", "reflectance", "detail", "log_focal")}
        return replace(fresh, light=light, **known)

    def track(
        self, seen: Observation, previous: FitState | None, start: FitState, seconds: float = 1 / 30
    ) -> FrameResult:
        """Pose, expression, gaze and light of a frame; ``start`` carries the identity.

        ``previous`` is the frame before, or None at the start of a shot; ``seconds`` the time since.

        The result's energies: ``photometric``, root mean square over the visible face, of 255; ``landmarks``, root mean
        square, share of the face's size; ``energy``, both terms' weighted sum; ``visible``, the share of the face's
        samples that the camera sees; ``step``, length of the solver's last step in posterior standard deviations (root
        mean square); ``converged``, 1 where that is small.
        """
        s = self.settings
        state, slack = start, LOOSE
        for _ in range(s.landmark_steps if previous is not None else 8):
            state, energies, step, matrix = self._frame_step(state, previous, seen, seconds, slack)
        if previous is not None:
            slack = motion_slack(state, previous, seconds, s.priors, self.layout)
        geometry, vertices, _ = self._shape(state)
        visible = visible_samples(self.model, vertices, geometry, state, seen, s.backend)
        for level, steps in zip(s.levels, s.steps):
            for _ in range(steps if previous is not None else steps + 3):
                state, energies, step, matrix = self._frame_step(state, previous, seen, seconds, slack, level, visible)
        deviations = spread(matrix, self.held_frame)
        moved = (step / deviations.clamp_min(1e-9))[:, ~self.held_frame].square().mean().sqrt()
        energies |= {
            "visible": float(visible.mean()), "step": float(moved), "converged": float(moved < AT_REST)
        }  # fmt: skip
        return FrameResult(state, energies, deviations)

    def _frame_step(
        self,
        state: FitState,
        previous: FitState | None,
        seen: Observation,
        seconds: float,
        slack: Tensor | float,
        level: int | None = None,
        visible: Tensor | None = None,
    ) -> tuple[FitState, dict[str, float], Tensor, Tensor]:
        """The next state, energies of the one before, the step (F, P) between them and the matrix it came from."""
        s = self.settings
        geometry, _, neutral = self._shape(state)
        terms, distances = landmark_rows(self.marks, neutral, state, seen, s.weights, self.layout, shared=False)
        rows, energies = [terms], {"landmarks": distances}
        held = self.held_frame
        if level is not None:
            colour = photometric_rows(geometry, state, seen, level, visible, s.weights, self.layout, shared=False)
            rows.append(colour.rows)
            energies["photometric"] = (colour.squared * colour.seen).sum() / colour.seen.sum().clamp_min(1e-6)
        else:
            held = held.clone()
            light = self.columns["light"]
            held[light.start - self.layout.shared : light.stop - self.layout.shared] = True
        equations = NormalEquations.of(rows)
        prior, slope = frame_prior(state, s.priors, self.layout)
        if previous is not None:
            hold, hold_slope = temporal_prior(state, previous, seconds, s.priors, self.layout, slack)
            prior, slope = prior + torch.diag_embed(hold), slope + hold_slope
        step, matrix = solve_frames(equations, prior, slope, state.expression, self.expression_columns, held)
        after = self._with_eye_look(state.stepped(None, step, self.layout))
        return after, self._summary(energies, equations), step, matrix

    def _summary(self, energies: dict[str, Tensor], equations: NormalEquations) -> dict[str, float]:
        out = {"landmarks": float((energies["landmarks"] * self.marks.weights).sum() / self.marks.weights.sum()) ** 0.5}
        if "photometric" in energies:
            out["photometric"] = float((energies["photometric"] / 3).sqrt()) * 255
        out["energy"] = float(equations.energy.sum())
        return out

    # -- key frames -----------------------------------------------------------------------------------------------

    def solve_shared(self, seen: Observation, progress=None) -> tuple[FitState, dict[str, Tensor]]:
        """Identity, reflectance and focal length over the key frames, with each frame's own unknowns.

        Returns the state and the posterior standard deviations of identity (I,), reflectance (A,), log_focal (1,).
        """
        s = self.settings
        state = self.start(seen)
        schedule = [(None, 0)] * 6 + [(None, 1)] * 6
        schedule += [(level, 2) for level, n in zip(s.joint_levels, s.joint_steps) for _ in range(n)]
        for k, (level, stage) in enumerate(schedule):
            state, matrix, held = self._joint_step(state, seen, level, stage)
            if progress:
                progress(k + 1, len(schedule))
        precision = s.weights.colour / s.weights.colour_scale**2 / (3 * len(self.samples))
        reflectance, detail = absorb(self.samples.albedo, state.reflectance, state.detail, precision)
        state = replace(state, reflectance=reflectance, detail=detail)
        deviations = spread(matrix, held)
        return state, {n: deviations[self.columns[n]] for n in ("identity", "reflectance", "log_focal")}

    def _joint_step(
        self, state: FitState, seen: Observation, level: int | None, stage: int
    ) -> tuple[FitState, Tensor, Tensor]:
        """``stage``: 0 pose and expression, 1 with identity and focal length, 2 with colour too.

        Returns the next state, the system's matrix and which of its unknowns were held.
        """
        s, shared = self.settings, self.layout.shared
        geometry, vertices, neutral = self._shape(state)
        terms, _ = landmark_rows(self.marks, neutral, state, seen, s.joint_weights, self.layout, shared=True)
        rows, detail = [terms], None
        if level is not None:
            visible = visible_samples(self.model, vertices, geometry, state, seen, s.backend)
            colour = photometric_rows(geometry, state, seen, level, visible, s.joint_weights, self.layout, shared=True)
            rows.append(colour.rows)
            prior = s.joint_weights.colour / (3 * len(self.samples)) / s.priors.detail**2
            detail = Elimination.of(colour, state.detail, prior, shared)
        held = torch.zeros(shared, dtype=torch.bool, device=state.identity.device)
        held_frame = self.held_frame.clone()
        if stage == 0:
            held[:] = True
        if stage < 2:
            held[self.columns["reflectance"]] = True
            light = self.columns["light"]
            held_frame[light.start - shared : light.stop - shared] = True
        if self.focal_known:
            held[self.columns["log_focal"]] = True
        step, matrix = solve_joint(
            NormalEquations.of(rows),
            shared_prior(state, self.focal_guess, s.priors, self.layout),
            frame_prior(state, s.priors, self.layout),
            state.expression,
            self.expression_columns,
            held,
            held_frame,
            damping=1e-3,
            reduction=detail and detail.reduction(),
        )
        after = state.stepped(step[:shared], step[shared:].view(len(state), -1), self.layout)
        if detail is not None:
            after = replace(after, detail=state.detail + detail.step(step))
        return self._with_eye_look(after), matrix, torch.cat([held, held_frame.repeat(len(state))])
