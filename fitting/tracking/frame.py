"""The solver of a clip's frames, for an identity that the key frames gave (`fitting.tracking.shared`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from facemodel.base import FaceModel
from facemodel.gaze import EYE_LOOK_NAMES, eye_look
from facemodel.parameters import FaceParameters
from facemodel.people import people_of
from fitting.energy.agreement import agreement
from fitting.energy.gaze import GazeRefiner
from fitting.energy.landmark_points import landmark_points
from fitting.energy.landmarks import Landmarks, landmark_rows
from fitting.energy.occluder import occluder
from fitting.energy.photometric import Look, photometric_rows
from fitting.energy.priors import IdentityPrior, frame_prior, relative_sizes
from fitting.energy.samples import surface_samples
from fitting.energy.surface import ModelSurface, Shape, model_surface
from fitting.energy.temporal import TemporalPrior
from fitting.energy.visibility import in_picture, visible_samples
from fitting.observation.crop import Observation
from fitting.occlusion.network import SIZE as MASK_SIZE
from fitting.occlusion.parts import lit_and_shaded, neighbours, parts_at, seen_parts
from fitting.occlusion.regions import any_hidden, face_regions
from fitting.policy.colour_trust import terms_at
from fitting.policy.settings import Settings
from fitting.policy.weights import TermWeights
from fitting.solver.normal_equations import NormalEquations, Quadratic, solve_frames, spread
from fitting.solver.state import FitState, Unknowns
from fitting.tracking.reduced import reduced
from fitting.tracking.start import initial_state


@dataclass(frozen=True)
class FrameResult:
    """A fitted frame with how well it fits."""

    state: FitState
    energies: dict[str, float]  # see `Fitter.judge`
    spread: Tensor  # (F, P) posterior standard deviations in the layout's order


@dataclass(frozen=True)
class Step:
    """One step of the solver."""

    state: FitState  # after it
    change: Tensor  # (F, P)
    matrix: Tensor  # (F, P, P) that it was solved with
    equations: NormalEquations
    distances: Tensor  # (F, L) squared, of the landmarks before it


@lru_cache(maxsize=2)
def gathered(model: FaceModel, scheme: str, settings: Settings) -> ModelSurface:
    """Where a model is looked at, and its bases there. Of many pictures, the first one's does for all."""
    times = settings.joint.samples
    with torch.inference_mode(False):  # else it could be used nowhere else
        most = surface_samples(model, max(times) * settings.samples, settings.regions)
        sets = {len(s): s for s in (most.every(max(times) // t) for t in times)}
        return model_surface(model, sets, landmark_points(model, scheme), occluder(model, settings.thinning))


@dataclass(frozen=True)
class SolvedFrame:
    """A frame's solution, before anybody asks how good it is."""

    state: FitState
    step: Step  # the last one
    before: TemporalPrior | None
    look: Look | None  # the last one; None of a solution by landmarks alone
    unhidden: Tensor  # (F, N) see `visible_samples`


class Fitter:
    """Holds what stays the same from frame to frame, so that a step is a few small matrix products.

    Args:
        model: on the device to work on.
        scheme: the detector's landmark scheme.
        focal: px, where it is known; None has it solved for about ``focal_guess``.
        anybody: see `reduced`: states are of a person who is known already.
    """

    def __init__(
        self,
        model: FaceModel,
        scheme: str,
        focal_guess: float,
        focal: float | None = None,
        settings: Settings | None = None,
        anybody: bool = False,
    ) -> None:
        self.settings = settings or Settings()
        self.reduced = reduced(model, self.settings.least_motion, anybody)
        self.model = model = self.reduced.model
        self.focal_known = focal is not None
        self.focal_guess = focal or focal_guess
        self.surface = gathered(model, scheme, self.settings).fresh()
        self.sample_sets, self.marks, self.occluder = self.surface.samples, self.surface.marks, self.surface.occluder
        self.samples = self.sample_sets[min(self.sample_sets)]
        self.regions = face_regions(model, self.marks, self.settings.hidden_parts)
        self.unknowns, priors, people = Unknowns.of(model), self.settings.priors, people_of(model)
        self.own_identities = IdentityPrior.of_model(self.unknowns, priors, relative_sizes(model))
        self.identities = self.own_identities if people is None else IdentityPrior.of_people(people, priors)
        self._usual_points = self.marks.gather(model.vertices(self.identities.mean))
        self.layout = self.unknowns.layout
        self.held_frame = torch.zeros(self.layout.frame, dtype=torch.bool, device=model.mean.device)
        # ARKit's eyeLook shapes follow the gaze and aren't unknowns of their own.
        look = [model.arkit.get(name) for name in EYE_LOOK_NAMES]
        self.eye_look = None
        if model.eyes is None:
            self.held_frame[self.layout.own("gaze")] = True
        elif None not in look:
            self.eye_look = torch.tensor(look, device=model.mean.device)
            self.held_frame[self.layout.own("expression").start + self.eye_look] = True
        # Joints that expressions turn, as jawOpen does a jaw, have no numbers of their own beside.
        self.held_frame[self.layout.own("joints")] |= model.driven
        self._gaze = None if model.eyes is None else GazeRefiner(model, self.occluder, self.settings.gaze)
        self._near: dict[int, Tensor] = {}
        self.adapt(0.0)

    def adapt(
        self, trust: float, lights: int = 0, few: bool = False, parallax: float = 0.0, clip: bool = False
    ) -> None:
        """Trusts the colours so far; ``few`` pictures are all that there is, ``parallax`` tells of the shape, or
        key frames of a ``clip`` told the skin.

        See `fitting.policy.colour_trust.terms_at`.

        ``lights``: 1 where only those of skin count, 2 where only those of skin in its usual light do.
        """
        self.terms, self.lights = terms_at(self.settings, trust, few, parallax, clip), lights

    def prior_stds(self, trusted: bool) -> dict[str, float | list[float]]:
        """Plain numbers by block; ``trusted``: colours were. Focal length in px, where it isn't given."""
        identities = self.own_identities if trusted else self.identities
        stds = self.reduced.identity(identities.stds, rest=1.0)
        focal = {} if self.focal_known else {"focal": self.settings.priors.log_focal * self.focal_guess}
        return Unknowns.of(self.reduced.whole).prior_stds() | {"identity": [round(s, 6) for s in stds.tolist()]} | focal

    def parameters(self, state: FitState) -> FaceParameters:
        """A state's, of the model as it was given."""
        return self.reduced.parameters(state.parameters())

    def near(self, samples: int) -> Tensor:
        """`neighbours` of the set of so many samples."""
        if samples not in self._near:
            self._near[samples] = neighbours(self.sample_sets[samples].positions, self.settings.occlusion)
        return self._near[samples]

    # -- what a state looks like --------------------------------------------------------------------------------

    def shape(self, state: FitState, shared: bool = True) -> Shape:
        """``shared``: with the derivatives by identity, which tracking does without."""
        return self.surface.shape(state, shared)

    def landmarks(self, state: FitState, shared: bool = True) -> Landmarks:
        """See `shape`."""
        return Landmarks(self.marks, self.shape(state, shared).marks)

    def visible(self, state: FitState, seen: Observation) -> tuple[Tensor, Tensor]:
        """See `visible_samples`; nothing beyond the picture's edge is."""
        unhidden, where = self.unhidden(state, seen)
        return unhidden * in_picture(where, seen, self.settings.visibility), where

    def unhidden(self, state: FitState, seen: Observation, shared: bool = True) -> tuple[Tensor, Tensor]:
        """See `visible_samples`."""
        head = self.surface.head(state), self.occluder.triangles
        return visible_samples(self.shape(state, shared).surface, head, state, seen, self.settings.visibility)

    def admissible(self, state: FitState) -> FitState:
        """The state within its bounds, with the shapes that follow the gaze."""
        inside = self.unknowns.clamped(state)
        if self.eye_look is not None:
            inside["expression"][:, self.eye_look] = eye_look(state.gaze)
        return replace(state, **inside)

    # -- one frame ----------------------------------------------------------------------------------------------

    def start(self, seen: Observation, like: FitState | None = None) -> FitState:
        """A first estimate of each frame from its landmarks; identity and light from ``like`` where it's given."""
        if like is None:
            return replace(self._initial(self._usual_points, seen, self.focal_guess), identity=self.identities.mean)
        rest = self._initial(self.marks.mean, seen.frame(0), self.focal_guess)
        known = {n: getattr(like, n) for n in ("identity", "reflectance", "detail", "brows", "log_focal")}
        points = self.shape(like if self.model.linear else replace(rest, **known)).marks.at(rest.motion[:1])[0]
        fresh = self._initial(points, seen, float(like.log_focal.exp()))
        return replace(fresh, light=like.light[-1:].expand(len(seen), -1, -1), **known)

    def _initial(self, points: Tensor, seen: Observation, focal: float) -> FitState:
        return initial_state(self.marks, points, seen, focal, self.unknowns, len(self.samples), self.settings.start)

    def track(
        self,
        seen: Observation,
        previous: FitState | None,
        start: FitState,
        seconds: float = 1 / 30,
        near: bool = False,
    ) -> FrameResult:
        """`solve`, then `judge`."""
        return self.judge(seen, self.solve(seen, previous, start, seconds, near))

    def solve(
        self,
        seen: Observation,
        previous: FitState | None,
        start: FitState,
        seconds: float = 1 / 30,
        near: bool = False,
    ) -> SolvedFrame:
        """Pose, expression, gaze and light of a frame; ``start`` carries the identity.

        ``previous`` is the frame before, or None at the start of a shot; ``seconds`` the time since. ``near``: the
        start is a solution already, which the landmarks alone would only move away from.
        """
        s, policy = self.settings, self.settings.frame
        state, side = start, float(seen.side.median())
        weights = self.terms.of_frame(near, side)
        before = None
        if previous is not None:
            before = TemporalPrior.of(previous, seconds, s.priors, self.unknowns, policy.loose)
        first = s.landmark_steps if before else 0 if near and s.levels else policy.start_steps
        for _ in range(first):
            step = self._step(state, before, seen, s.weights)
            state = step.state
        if before:
            before = before.slackened(state, self.unknowns)
        unhidden, where = self.unhidden(state, seen, shared=False)
        visible, look = unhidden * in_picture(where, seen, s.visibility), None
        if (lights := self.lights or int(any_hidden(seen))) and MASK_SIZE in seen.levels:
            parts, unknown = parts_at(seen_parts(seen), where), visible.new_zeros(lights, *visible.shape)
            skin = lit_and_shaded(parts, unknown, 1.0, self.near(len(self.samples)), s.occlusion)[0]
            visible = visible * skin
        for level, steps in zip(*s.worthwhile(s.levels, s.steps, side)):
            look = Look(seen, level, visible)
            for _ in range(steps if before else steps + policy.more_steps):
                step = self._step(state, before, seen, weights, look)
                state = step.state
        if seen.eyes is not None and self._gaze is not None:
            gaze = self._gaze(state, self.surface.head(state), seen, s.gaze.reach[before is not None], self.terms.gaze)
            state = self.admissible(replace(state, gaze=gaze))
        return SolvedFrame(state, step, before, look, unhidden)

    def judge(self, seen: Observation, solved: SolvedFrame) -> FrameResult:
        """A solution with its spread and how well it fits.

        Its energies: ``landmarks``, root mean square, share of the face's size; ``energy``, both terms' weighted sum;
        ``step``, length of the solver's last step in posterior standard deviations (root mean square); ``converged``,
        1 where that is small; and those of `fitting.energy.agreement`.
        """
        s, policy = self.settings, self.settings.frame
        state, step, before, look = solved.state, solved.step, solved.before, solved.look
        matrix = step.matrix
        if before is not None and any_hidden(seen):  # which the frame before may not have seen either
            matrix = matrix - torch.diag_embed(before.precision)
        stds = spread(matrix, self.held_frame)
        counted = self.marks.weights * seen.landmarks.isfinite().all(-1)
        moved = float((step.change / stds.clamp_min(1e-9))[:, ~self.held_frame].square().mean().sqrt())
        energies = {
            "landmarks": float((step.distances * counted).sum() / counted.sum().clamp_min(1e-6)) ** 0.5,
            "energy": float(step.equations.energy.sum()),
            "step": moved,
            "converged": float(moved < policy.at_rest),
        }
        if look is not None:
            energies |= agreement(self.shape(state, shared=False).surface, state, look, solved.unhidden, s.agreement)
        return FrameResult(state, energies, stds)

    def _step(
        self,
        state: FitState,
        before: TemporalPrior | None,
        seen: Observation,
        weights: TermWeights,
        look: Look | None = None,
    ) -> Step:
        """Without a ``look``, by landmarks alone."""
        s = self.settings
        terms, distances = landmark_rows(self.landmarks(state, False), state, seen, weights, self.layout, shared=False)
        rows, held = [terms], self.held_frame
        if look is not None:
            surface = self.shape(state, shared=False).surface
            rows.append(photometric_rows(surface, state, look, weights, self.layout, shared=False).rows)
        else:
            held = held.clone()
            held[self.layout.own("light")] = True
        equations = NormalEquations.of(rows)
        prior = frame_prior(state, s.priors, self.unknowns, seen.exposure, alone=before is None)
        if before is not None:
            hold = before.at(state)
            prior.precision.diagonal(dim1=1, dim2=2).add_(hold.precision)
            prior = Quadratic(prior.precision, prior.gradient + hold.gradient)
        bounds = self.unknowns.frame_bounds(state, held)
        step, matrix = solve_frames(equations, prior, bounds, s.frame.damping)
        after = self.admissible(state.stepped(None, step, self.layout))
        return Step(after, step, matrix, equations, distances)
