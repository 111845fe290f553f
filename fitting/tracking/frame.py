"""The solver of a clip's frames, for an identity that the key frames gave (`fitting.tracking.shared`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.gaze import EYE_LOOK_NAMES, gaze_to_eye_look
from fitting.energy.agreement import agreement
from fitting.energy.priors import frame_prior, motion_slack, relative_sizes, temporal_prior
from fitting.energy.rows import landmark_rows, photometric_rows
from fitting.energy.samples import landmark_samples, surface_samples
from fitting.energy.terms import SurfaceGeometry, Weights
from fitting.energy.visibility import in_picture, visible_samples
from fitting.observation.crop import Observation
from fitting.observation.gaze import GazeRefiner
from fitting.occlusion.network import SIZE as MASK_SIZE
from fitting.occlusion.parts import lit_and_shaded, neighbours, parts_at, seen_parts
from fitting.policy.belief import Belief
from fitting.policy.settings import Settings
from fitting.solver.gauss_newton import NormalEquations, solve_frames, spread
from fitting.solver.state import FitState, Layout
from fitting.tracking.start import initial_state

LOOSE = 4.0  # slack of the temporal prior while the landmarks give a first estimate
BY_PERSON = ("identity", "reflectance", "detail")  # what the samples' geometry depends on
AT_REST = 0.5  # a solver whose last step was shorter, in posterior standard deviations, has converged
JOINT = (4, 2, 1)  # times as many samples as are tracked: over few key frames, over more with colours believed, else
REACH = (0.35, 0.15)  # rad, how far about the landmarks' gaze the eyes are looked at: in a first frame, in others


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
        model: FaceModel,
        scheme: str,
        focal_guess: float,
        focal: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.model, self.settings = model, settings or Settings()
        self.focal_known = focal is not None
        self.focal_guess = focal or focal_guess
        most = surface_samples(model, JOINT[0] * self.settings.samples)
        sets = [most.every(JOINT[0] // times) for times in JOINT]
        self.samples, self.sample_sets = sets[-1], {len(s): s for s in sets}
        self.marks = landmark_samples(model, scheme)
        self.sizes = relative_sizes(model)
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
        self._gaze = GazeRefiner(model)
        self._shown: FitState | None = None
        self._near: dict[int, Tensor] = {}
        self.adapt(0.0)

    def adapt(self, believed: float, lights: int = 0) -> None:
        """Believes the colours so far (`fitting.policy.belief`).

        ``lights``: 1 where only those of skin count, 2 where only those of skin in its usual light do.
        """
        self.belief, self.lights = Belief.of(self.settings, believed), lights

    def near(self, samples: int) -> Tensor:
        """`neighbours` of the set of so many samples."""
        if samples not in self._near:
            self._near[samples] = neighbours(self.sample_sets[samples].mean[:, :3])
        return self._near[samples]

    # -- what depends on identity only, kept between frames ---------------------------------------------------

    def shape(self, state: FitState) -> tuple[SurfaceGeometry, Tensor, Tensor]:
        """Sample geometry, neutral vertices (V, 3), neutral landmarks (L, 3) for a state's identity."""
        last = self._shown
        if last is None or any(getattr(state, n) is not getattr(last, n) for n in BY_PERSON):
            vertices = self.model.mean + torch.einsum("ivk,i->vk", self.model.identity_basis, state.identity)
            marks = self.marks.mean + self.marks.identity @ state.identity
            samples = self.sample_sets[len(state.detail)]
            geometry = SurfaceGeometry(samples, state.identity, state.reflectance, state.detail)
            self._shown, self._cached = state, (geometry, vertices, marks)
        return self._cached

    def with_eye_look(self, state: FitState) -> FitState:
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
        _, _, neutral = self.shape(like)
        fresh = initial_state(self.marks, neutral, seen, float(like.log_focal.exp()), sizes)
        light = like.light[-1:].expand(len(seen), -1, -1)
        known = {n: getattr(like, n) for n in (*BY_PERSON, "brows", "log_focal")}
        return replace(fresh, light=light, **known)

    def track(
        self,
        seen: Observation,
        previous: FitState | None,
        start: FitState,
        seconds: float = 1 / 30,
        near: bool = False,
        solved: bool = False,
    ) -> FrameResult:
        """Pose, expression, gaze and light of a frame; ``start`` carries the identity.

        ``previous`` is the frame before, or None at the start of a shot; ``seconds`` the time since. ``near``: the
        start is a solution already, which the landmarks alone would only move away from. ``solved``: by every pixel
        (`fitting.small`), which samples of the surface would, too; it is only measured.

        The result's energies: ``landmarks``, root mean square, share of the face's size; ``energy``, both terms'
        weighted sum; ``step``, length of the solver's last step in posterior standard deviations (root mean square);
        ``converged``, 1 where that is small; and those of `fitting.energy.agreement`.
        """
        s = self.settings
        state, slack, weights = start, LOOSE, self.belief.still if near else self.belief.moving
        for _ in range(s.landmark_steps if previous is not None else 0 if near and s.levels else 8):
            state, energies, step, matrix = self._frame_step(state, previous, seen, s.weights, seconds, slack)
        if previous is not None:
            slack = motion_slack(state, previous, seconds, s.priors, self.layout)
        geometry, vertices, _ = self.shape(state)
        visible, where = visible_samples(self.model, vertices, geometry, state, seen)
        unhidden, visible = visible, visible * in_picture(where, seen)
        if self.lights and MASK_SIZE in seen.levels:
            parts, unknown = parts_at(seen_parts(seen), where), visible.new_zeros(self.lights, *visible.shape)
            visible = visible * lit_and_shaded(parts, unknown, 1.0, self.near(len(self.samples)))[0]
        levels = [*zip(*seen.worthwhile(s.levels, s.steps))]
        for level, steps in levels[-1:] if solved else levels:
            for _ in range(1 if solved else steps if previous is not None else steps + 3):
                state, energies, step, matrix = self._frame_step(
                    state, previous, seen, weights, seconds, slack, level, visible
                )
        if solved:
            state, step = start, torch.zeros_like(step)
        elif seen.eyes is not None:
            gaze = self._gaze(state, vertices, seen, REACH[previous is not None], self.belief.gaze)
            state = self.with_eye_look(replace(state, gaze=gaze))
        deviations = spread(matrix, self.held_frame)
        moved = (step / deviations.clamp_min(1e-9))[:, ~self.held_frame].square().mean().sqrt()
        energies |= {"step": float(moved), "converged": float(moved < AT_REST)}
        if levels:
            geometry, *_ = self.shape(state)
            energies |= agreement(geometry, state, seen, levels[-1][0], visible, unhidden)
        return FrameResult(state, energies, deviations)

    def _frame_step(
        self,
        state: FitState,
        previous: FitState | None,
        seen: Observation,
        weights: Weights,
        seconds: float,
        slack: Tensor | float,
        level: int | None = None,
        visible: Tensor | None = None,
    ) -> tuple[FitState, dict[str, float], Tensor, Tensor]:
        """The next state, energies of the one before, the step (F, P) between them and the matrix it came from."""
        s = self.settings
        geometry, _, neutral = self.shape(state)
        terms, distances = landmark_rows(self.marks, neutral, state, seen, weights, self.layout, shared=False)
        rows, energies = [terms], {"landmarks": distances}
        held = self.held_frame
        if level is not None:
            colour = photometric_rows(geometry, state, seen, level, visible, weights, self.layout, shared=False)
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
        after = self.with_eye_look(state.stepped(None, step, self.layout))
        return after, self._summary(energies, equations), step, matrix

    def _summary(self, energies: dict[str, Tensor], equations: NormalEquations) -> dict[str, float]:
        out = {"landmarks": float((energies["landmarks"] * self.marks.weights).sum() / self.marks.weights.sum()) ** 0.5}
        if "photometric" in energies:
            out["photometric"] = float((energies["photometric"] / 3).sqrt()) * 255
        out["energy"] = float(equations.energy.sum())
        return out
