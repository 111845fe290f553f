"""Identity, reflectance and focal length over key frames, with each frame's own unknowns.

A coarse solution from the landmarks shows whether the model explains the pictures' colours. Where that comes near to
explaining all, the fine solution is tried with the colours trusted (`fitting.policy.colour_trust`). Where much is left
unexplained then, or is explained by colours that nobody has, it's done as usual.

Where a part of a face seems to be behind something or in a cast shadow, that is tried without the one, and with a light
of its own for the other (`fitting.occlusion`). If that fails, a face with a shadow still has two lights, and of another
the skin alone says what the reflectance is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from fitting.energy.landmarks import landmark_rows, landmarks
from fitting.energy.photometric import Look, PhotometricRows, photometric_rows
from fitting.energy.priors import frame_prior, shared_prior
from fitting.observation.crop import Observation
from fitting.occlusion.network import PARTS
from fitting.occlusion.network import SIZE as MASK_SIZE
from fitting.occlusion.parts import parts_at, seen_parts, shares
from fitting.occlusion.regions import any_hidden, hidden_apart
from fitting.occlusion.shade import Parts, rows_of_parts, with_shade, without_shade
from fitting.policy.colour_trust import ColourTrust, terms_at
from fitting.policy.weights import TermWeights
from fitting.solver.detail import Elimination, RowByRow, absorb
from fitting.solver.normal_equations import NormalEquations, less_told, solve_joint, spread
from fitting.solver.state import FitState
from fitting.tracking.frame import Fitter
from foundation.progress import Event, Report, ignore

STAGE = "solving for identity"


class Free(IntEnum):
    """What a step solves for."""

    POSE = 0  # and expression
    SHAPE = 1  # and identity, focal length
    ALL = 2
    SKIN = 3  # reflectance and light alone


@dataclass(frozen=True)
class Stage:
    """Some steps alike."""

    steps: int
    free: Free
    weights: TermWeights
    detail: float  # standard deviation of the samples' own albedo
    damping: float  # share of the diagonal
    level: int | None = None  # px of the pyramid; None: landmarks alone
    own: bool = False  # identities are the model's own, not people's


@dataclass(frozen=True)
class SharedResult:
    """What the key frames share, with the key frames' own parameters."""

    state: FitState
    spread: dict[str, Tensor]  # posterior standard deviations of identity (I,), reflectance (A,), log_focal (1,)
    unexplained: float  # colour error of the samples without their own albedo, of 1; `ColourTrust.explained` have less
    trusted: bool  # the colours were
    masked: bool  # and only those that seem to be of skin
    parallax: float  # 0 to 1: how far the pictures tell of the shape from many sides


@dataclass(frozen=True)
class _Solution:
    """The key frames' state, what was known of the faces' parts, and the last system that led there."""

    state: FitState
    parts: Tensor | None = None  # see `seen_parts`; None: all may be skin
    shade: Tensor | None = None  # (F, 9, 3) light in a cast shadow; None: there is none
    hidden: float = 0.0  # share of the visible face, of the frame where that is most, that isn't lit skin
    unexplained: float = 1.0
    stage: Stage | None = None  # the last
    matrix: Tensor | None = None  # with frames that err alike
    held: Tensor | None = None  # which of the system's unknowns were held


def solve_shared(fitter: Fitter, seen: Observation, report: Report = ignore, ordered: bool = True) -> SharedResult:
    """``seen``: the key frames; ``ordered``: of a clip, not pictures taken one by one."""
    return _KeyFrames(fitter, seen, report, ordered).solve()


def implausibility(state: FitState, policy: ColourTrust) -> float:
    """How far a skin and a light are from what people have, 0 to 2; infinite where nobody has the one or the other.

    On an evenly lit photograph 80 coefficients of reflectance and 27 of light can explain all colours, by an orange
    skin with blue brows under a light from nowhere. Of synthetic people none has a mean square of the reflectance's
    coefficients above ``most_tinted``, for a picture tells little of each, or bands of light above the constant one
    that come to more than ``most_uneven`` of it; of such photographs all have.
    """
    constant = state.light[:, 0].abs().clamp_min(1e-6)
    uneven = float((state.light[:, 1:].norm(dim=1) / constant).mean()) / policy.most_uneven
    tinted = float(state.reflectance.square().sum()) / max(len(state.reflectance), 1) / policy.most_tinted
    return tinted + uneven if max(tinted, uneven) < 1 else math.inf


def directions_spread(state: FitState) -> float:
    """rad, standard deviation about their mean of the directions in which the frames' heads look."""
    ahead = state.rotation[:, :, 2]
    return float((ahead - ahead.mean(0)).square().sum(1).mean().sqrt())


class _KeyFrames:
    def __init__(self, fitter: Fitter, seen: Observation, report: Report, ordered: bool) -> None:
        self.fitter, self.report, self.ordered = fitter, report, ordered
        self.seen = hidden_apart(seen, fitter.regions, fitter.settings.hidden_parts)
        s, j = fitter.settings, fitter.settings.joint
        self._joint = j
        self.side = float(seen.side.median())
        self.levels = list(zip(*s.worthwhile(s.joint_levels, s.joint_steps, self.side)))
        # Small pictures hold fewer measurements than there are samples.
        self.colour_share = min(1.0, self.side / j.full_side)
        # A pixel is a larger share of a small face. Over many frames the landmarks' errors cancel.
        self.few = len(seen) <= j.few
        self.landmark_share = min(1.0, self.side / j.landmark_side) ** 2 if self.few else 1.0
        self.weights = self._sized(j.few_weights if self.few else s.joint_weights)
        fine = sum(steps for _, steps in self.levels)
        self.done, self.total = 0, j.pose_steps + j.shape_steps + (j.coarse_steps + fine if self.levels else 0)

    # -- the decisions ------------------------------------------------------------------------------------------

    def solve(self) -> SharedResult:
        s = self.fitter.settings
        placed = self._placed()
        if not self.levels:
            return self._result(placed, trusted=False)
        segmented = self._segmented(placed)
        hidden = segmented.hidden > s.occlusion.hidden
        masked = self._coarse(segmented) if hidden else None
        coarse = masked or self._coarse(placed)
        large, bright = self.side > s.trust.least_side[self.few], self.seen.exposure.median() > s.trust.least_exposure
        if large and bright and (result := self._trusting(coarse)) is not None:
            return result
        if hidden and (segmented.shade is not None or any_hidden(self.seen)):
            return self._usual(masked)
        plain = coarse if masked is None else self._coarse(placed)
        return self._usual(plain, skin=segmented if segmented.hidden > s.occlusion.some else None)

    def _sized(self, w: TermWeights) -> TermWeights:
        return replace(w, landmarks=self.landmark_share * w.landmarks, pairs=self.landmark_share * w.pairs)

    def _with_parallax(self, x: _Solution) -> TermWeights:
        """The usual weights, with fewer landmarks where separate pictures show the head from many sides."""
        w = self.weights
        least = min(w.landmarks, self._joint.parallax_landmarks)
        return replace(w, landmarks=w.landmarks + self._parallax(x) * (least - w.landmarks))

    def _parallax(self, x: _Solution) -> float:
        """0 to 1: how far separate pictures show the head from many sides.

        Along a clip colours err alike, by its light, gloss and compression, so that what frames disagree about is less.
        """
        if self.few or self.ordered:
            return 0.0
        share = (directions_spread(x.state) / self._joint.parallax) ** 4  # steep: a head that nods tells no depth
        return share / (1 + share)

    def _placed(self) -> _Solution:
        """By landmarks alone."""
        j, x = self._joint, _Solution(self.fitter.start(self.seen))
        for steps, free in ((j.pose_steps, Free.POSE), (j.shape_steps, Free.SHAPE)):
            x = self._run(x, Stage(steps, free, self.weights, 1.0, j.damping))
        return x

    def _coarse(self, x: _Solution, steps: int | None = None) -> _Solution:
        j = self._joint
        colour = self.fitter.settings.joint_weights.colour  # it's asked what the colours can be explained by
        weights = replace(self.weights, colour=colour, colour_scale=j.coarse_scale)
        stage = Stage(steps or j.coarse_steps, Free.ALL, weights, j.coarse_detail, j.damping, self.levels[0][0])
        x = self._run(x, stage)
        return replace(x, unexplained=self._unexplained(x))

    def _segmented(self, x: _Solution) -> _Solution:
        """The same with what its frames show where, and with a light in their shadows where they have any."""
        policy = self.fitter.settings.occlusion
        if MASK_SIZE not in self.seen.levels or self.side < policy.least_side:
            return x
        parts = seen_parts(self.seen)
        visible, where = self.fitter.visible(x.state, self.seen)
        share = shares(parts_at(parts, where), visible)  # (F, 3)
        shadow, other = (share[:, PARTS.index(name)] for name in ("shadow", "other"))
        if other.max() > policy.unknown:
            return x
        shade = policy.begun_with * x.state.light if shadow.max() > policy.shaded else None
        return replace(x, parts=parts, hidden=float((shadow + other).max()), shade=shade)

    def _trusting(self, x: _Solution) -> SharedResult | None:
        """The fine solution with the colours trusted; None where they shouldn't be."""
        policy = self.fitter.settings.trust
        limits = policy.whole if x.parts is None else policy.masked
        if x.parts is not None:
            x = self._coarse(x, policy.masked_steps)
        if not x.unexplained < limits.coarse:
            return None
        x = self._fine(x, trusted=True)
        y = self._absorbed(x)
        passes = x.unexplained < limits.fine and implausibility(y.state, policy) < limits.implausible
        return self._result(y, trusted=True) if passes else None

    def _usual(self, x: _Solution, skin: _Solution | None = None) -> SharedResult:
        """``skin`` knows what is skin, for the reflectance alone, where that isn't to count for the shape."""
        x = self._fine(x, trusted=False)
        if skin is not None:
            stage = replace(x.stage, steps=self._joint.skin_steps, free=Free.SKIN)
            x = replace(x, state=self._run(replace(skin, state=x.state), stage).state)
        return self._result(self._absorbed(x), trusted=False)

    # -- their solutions ----------------------------------------------------------------------------------------

    def _fine(self, x: _Solution, trusted: bool) -> _Solution:
        fitter, j, trust = self.fitter, self._joint, self.fitter.settings.trust
        times = j.samples[2] if not trusted else j.samples[0] if self.few else j.samples[1]
        x = replace(x, state=replace(x.state, detail=x.state.detail.new_zeros(times * len(fitter.samples), 3)))
        last = len(self.levels) - 1
        for n, (level, steps) in enumerate(self.levels):
            # By and by: trusted at once, colours that are still off would count as occluders.
            share = 0.0 if not trusted else 1.0 if n == last else 1 - trust.first * trust.approach**n
            terms = terms_at(fitter.settings, share)
            weights = self._sized(terms.joint) if trusted else self._with_parallax(x)
            weights = replace(weights, colour=weights.colour * self.colour_share)
            more = trust.more_steps[x.parts is not None] if trusted and n == last else 0
            x = self._run(x, Stage(steps + more, Free.ALL, weights, terms.detail, j.fine_damping, level, own=trusted))
        return replace(x, unexplained=self._unexplained(x))

    def _absorbed(self, x: _Solution) -> _Solution:
        """The same over the samples that frames are tracked by, with the detail that the reflectance explains in it."""
        fitter, state, w = self.fitter, x.state, self.fitter.settings.weights
        precision = w.colour / w.colour_scale**2 / (3 * len(state.detail))
        basis = fitter.sample_sets[len(state.detail)].albedo
        reflectance, detail = absorb(basis, state.reflectance, state.detail, precision)
        step = len(detail) // len(fitter.samples)
        return replace(x, state=replace(state, reflectance=reflectance, detail=detail[::step].contiguous()))

    def _result(self, x: _Solution, trusted: bool) -> SharedResult:
        state = replace(x.state, brows=brow_heights(self.fitter, x.state, self.seen))
        stds, at = spread(x.matrix, x.held), self.fitter.layout.slices
        stds = {n: stds[at[n]] for n in ("identity", "reflectance", "log_focal")}
        parallax = self._parallax(x) * self.colour_share
        return SharedResult(state, stds, x.unexplained, trusted, x.parts is not None, parallax)

    def _unexplained(self, x: _Solution) -> float:
        """Colour error of the visible samples without their own albedo, of 1: that share of them has less."""
        x = replace(x, state=replace(x.state, detail=torch.zeros_like(x.state.detail)))
        colour = self._colour(x, self.levels[0][0], self.weights)
        errors = (colour.squared[colour.seen > 0.05] / 3).sqrt()
        return float(errors.quantile(self.fitter.settings.trust.explained)) if len(errors) else 1.0

    def _colour(self, x: _Solution, level: int, weights: TermWeights) -> PhotometricRows:
        f, surface = self.fitter, self.fitter.shape(x.state).surface
        visible, where = f.visible(x.state, self.seen)
        look = Look(self.seen, level, visible)
        if x.parts is None:
            return photometric_rows(surface, x.state, look, weights, f.layout, shared=True)
        parts = Parts(parts_at(x.parts, where), f.near(len(surface)), x.shade)
        return rows_of_parts(surface, x.state, look, parts, weights, f.layout, f.settings)

    def _run(self, x: _Solution, stage: Stage) -> _Solution:
        for _ in range(stage.steps):
            x = self._step(x, stage)
            self.done += 1
            self.report(Event(STAGE, min(self.done, self.total), self.total, "steps"))
        return replace(x, stage=stage)

    def _held(self, free: Free) -> tuple[Tensor, Tensor]:
        """Which of the shared unknowns (S,) and of a frame's (P,) stay as they are."""
        f = self.fitter
        at, light = f.layout.slices, f.layout.own("light")
        shared = torch.zeros(f.layout.shared, dtype=torch.bool, device=f.held_frame.device)
        own = f.held_frame.clone()
        if free in (Free.POSE, Free.SKIN):
            shared[:] = True
        if free in (Free.POSE, Free.SHAPE):
            shared[at["reflectance"]] = own[light] = True
        if free == Free.SKIN:
            own[:] = True
            shared[at["reflectance"]] = own[light] = False
        if f.focal_known:
            shared[at["log_focal"]] = True
        return shared, own

    def _step(self, x: _Solution, stage: Stage) -> _Solution:
        f, state, weights = self.fitter, x.state, stage.weights
        s, shared, own = f.settings, f.layout.shared, f.layout.frame
        terms, _ = landmark_rows(f.landmarks(state), state, self.seen, weights, f.layout, shared=True)
        prior = frame_prior(state, s.priors, f.unknowns, self.seen.exposure, alone=True)
        identities = f.own_identities if stage.own else f.identities
        held, held_frame = self._held(stage.free)
        bounds = [f.unknowns.shared_bounds(state, held), f.unknowns.frame_bounds(state, held_frame)]
        rows, detail, reduction, shade = [terms], None, None, x.shade if stage.level is not None else None
        if shade is not None:
            rows, prior = [without_shade(terms)], with_shade(prior, shade, state, s, f.unknowns)
            shade_size = prior.gradient.shape[1] - own
            held_frame = torch.nn.functional.pad(held_frame, (0, shade_size))
            bounds[1] = tuple(
                torch.nn.functional.pad(b, (0, shade_size), value=v) for b, v in zip(bounds[1], (-torch.inf, torch.inf))
            )
        if stage.level is not None:
            colour = self._colour(x, stage.level, weights)
            precision = weights.colour / (3 * len(state.detail)) / stage.detail**2
            if len(state) == 1:
                detail = RowByRow.of(colour.rows[0], colour.by_detail[0], state.detail, precision, colour.seen[0])
                rows.append([detail.rows])
            else:
                detail = Elimination.of(colour.rows, colour.by_detail, state.detail, precision, shared)
                rows.append(colour.rows)
                reduction = detail.reduction()
        common = shared_prior(state, f.focal_guess, s.priors, f.unknowns, identities)
        step, matrix = solve_joint(
            NormalEquations.of(rows),
            common,
            prior,
            tuple(bounds),
            stage.damping,
            reduction,
        )
        frame = step[shared:].view(len(state), -1)
        after = state.stepped(step[:shared], frame[:, :own], f.layout)
        if detail is not None:
            after = replace(after, detail=state.detail + detail.step(step))
        if shade is not None:
            shade = shade + frame[:, own:].view(-1, 3, 9).transpose(1, 2)
        return replace(
            x,
            state=f.admissible(after),
            shade=x.shade if shade is None else shade,
            matrix=less_told(matrix, common, prior, s.joint.alike),
            held=torch.cat([held, held_frame.repeat(len(state))]),
        )


def brow_heights(fitter: Fitter, state: FitState, seen: Observation) -> Tensor:
    """(P',) shares of the face's size: how much higher each brow's landmark is seen over the eye than on the model.

    Where on the bone a brow grows is a person's own, and the identity's basis doesn't know it: expressions would have
    to explain it in every frame.
    """
    brows = len(fitter.marks.on_brows)
    terms, _ = landmarks(fitter.landmarks(state), state, seen, fitter.settings.weights, fitter.layout, shared=False)
    off, weight = (x.unflatten(1, (-1, 2))[:, -brows:, 0] for x in (terms.value, terms.weight))
    return state.brows - (weight * off).sum(0) / weight.sum(0).clamp_min(1e-9)
