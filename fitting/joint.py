"""Identity, reflectance and focal length over key frames, with each frame's own unknowns.

A coarse solution from each source of landmarks (the detector, the network) shows whose lead to a face that explains
the pictures better. Where that comes near to explaining all, the fine solution is tried with the colours believed
(`fitting.belief`), from the better source first. Where much is left unexplained then, or is explained by colours that
nobody has, it's done as usual, from the first source, the detector: the network has seen drawn people only.

Where a fifth of a face is left unexplained, that is tried without samples behind hands and things or in a cast shadow
(`fitting.mask_net`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .belief import CLEAN, CLEAN_OF_SKIN, POSSIBLE
from .detail import Elimination, absorb
from .energy import Weights, landmarks
from .fitter import JOINT, Fitter
from .mask_net import SIZE as MASK_SIZE
from .mask_net import shown_skin
from .observation import Observation
from .priors import frame_prior, shared_prior
from .rows import landmark_rows, photometric_rows
from .solver import NormalEquations, solve_joint, spread
from .state import FitState
from .visibility import visible_samples

FEW = 2  # key frames, for which there is time for the most samples
POSE, SHAPE, COLOUR = 0, 1, 2  # what a step solves for: pose and expression; identity and lens too; all
FROM_LANDMARKS = [(None, POSE)] * 6 + [(None, SHAPE)] * 6  # steps, as (level, what)
COARSE_STEPS = 4
COARSE_SCALE = 0.04  # of 1: scale of the robust colour term in the coarse solution
COARSE_DETAIL = 0.02  # deviation of the samples' own albedo there, which is to show what the basis alone explains
DAMPING, CLEAN_DAMPING = 1e-3, 1e-5  # share of the diagonal; what is flat moves slowly with more
CLEAN_STEPS = 3  # more of the last level where the colours are believed
EXPLAINED = 0.4  # share of the samples that are to be explained: the others may be occluded, or in a shadow
REST, HIDDEN = 0.8, 0.024  # share of the samples; the colour error of 1, above which the others may be hidden
SURE = 2.0  # times as much count landmarks that know their own deviation: they don't err alike in every frame
TINTED, UNEVEN = 0.2, 0.75  # see `plausible`
FULL = 256.0  # px of the picture across the face's square, from which on the colours count fully
LARGE = 160.0  # the same, from which on it means something that colours are explained, and landmarks count fully
LARGE_ALONE = 200.0  # the same of few pictures, of which more can be explained


@dataclass(frozen=True)
class SharedResult:
    """What the key frames share, with the key frames' own parameters."""

    state: FitState
    spread: dict[str, Tensor]  # posterior standard deviations of identity (I,), reflectance (A,), log_focal (1,)
    unexplained: float  # colour error of the samples without their own albedo, of 1; EXPLAINED of them have less
    source: int  # which of the observations was used
    clean: bool  # the colours were believed


def solve_shared(
    fitter: Fitter, seen: Sequence[Observation], progress: Callable[[int, int], None] | None = None
) -> SharedResult:
    """``seen``: the same key frames with landmarks of one or more sources."""
    return _KeyFrames(fitter, seen, progress or (lambda done, total: None)).solve()


class _KeyFrames:
    def __init__(self, fitter: Fitter, seen: Sequence[Observation], progress: Callable[[int, int], None]) -> None:
        self.fitter, self.seen, self.progress = fitter, seen, progress
        s = fitter.settings
        levels, counts = seen[0].worthwhile(s.joint_levels, s.joint_steps)
        self.fine = [[(size, COLOUR)] * n for size, n in zip(levels, counts)]
        self.coarsest = s.joint_levels[0] if s.joint_levels else None
        self.side = float(seen[0].side.median())
        # A pixel is a larger share of a small face. Over many frames the landmarks' errors cancel.
        few = len(seen[0]) <= FEW
        self.sure = min(1.0, self.side / LARGE) ** 2 if few else 1.0
        self.large = self.side > (LARGE_ALONE if few else LARGE)
        self.weights = self._sized(s.joint_weights)
        self.done, self.total = 0, len(seen) * (len(FROM_LANDMARKS) + COARSE_STEPS) + sum(counts)

    def solve(self) -> SharedResult:
        if not self.fine:
            state, *last = self._steps(self.fitter.start(self.seen[0]), self.seen[0], FROM_LANDMARKS, self.weights, 1.0)
            return self._result(state, *last, 1.0, 0, False)
        coarse = [self._coarse(o) for o in self.seen]
        if self.large:
            tried, seen, limit = coarse, self.seen, CLEAN
            if min(self._unexplained(c[1], o, REST) for c, o in zip(coarse, seen)) > HIDDEN:
                seen = [self._of_skin(o) for o in seen]
                tried, limit = [self._coarse(o) for o in seen], CLEAN_OF_SKIN
            for k in sorted(range(len(tried)), key=lambda k: tried[k][0]):
                if tried[k][0] < POSSIBLE:
                    result = self._fine(k, seen[k], tried[k][1], clean=True)
                    if result.unexplained < limit and plausible(result.state):
                        return result
        return self._fine(0, self.seen[0], coarse[0][1], clean=False)

    def _sized(self, w: Weights) -> Weights:
        return replace(w, landmarks=self.sure * w.landmarks, pairs=self.sure * w.pairs)

    def _of_skin(self, o: Observation) -> Observation:
        """Without what the network takes for hands, things or cast shadows: it has seen drawn skin only."""
        return replace(o, shown=shown_skin(o)) if MASK_SIZE in o.levels else o

    def _coarse(self, o: Observation) -> tuple[float, FitState]:
        """What it leaves unexplained, and the solution."""
        state, *_ = self._steps(self.fitter.start(o), o, FROM_LANDMARKS, self.weights, COARSE_DETAIL)
        weights = replace(self.weights, colour_scale=COARSE_SCALE)
        state, *_ = self._steps(state, o, [(self.coarsest, COLOUR)] * COARSE_STEPS, weights, COARSE_DETAIL)
        return self._unexplained(state, o), state

    def _fine(self, k: int, o: Observation, state: FitState, clean: bool) -> SharedResult:
        fitter, s = self.fitter, self.fitter.settings
        times = JOINT[0] if len(o) <= FEW else JOINT[1] if clean else JOINT[2]
        state = replace(state, detail=state.detail.new_zeros(times * len(fitter.samples), 3))
        last, damping = len(self.fine) - 1, CLEAN_DAMPING if clean else DAMPING
        for n, part in enumerate(self.fine):
            # By and by: believed at once, colours that are still off would count as occluders.
            fitter.adapt(0.0 if not clean else 1.0 if n == last else 1 - 0.4 * 0.5**n)
            weights = self._sized(fitter.belief.joint_weights)
            # Small pictures hold fewer measurements than there are samples.
            weights = replace(weights, colour=weights.colour * min(1.0, self.side / FULL))
            if o.reliability is not None:
                weights = replace(weights, landmarks=SURE * weights.landmarks)
            more = part[-1:] * CLEAN_STEPS if clean and n == last else []
            state, matrix, held = self._steps(state, o, part + more, weights, fitter.belief.detail, damping)
        unexplained = self._unexplained(state, o)
        precision = s.weights.colour / s.weights.colour_scale**2 / (3 * len(state.detail))
        basis = fitter.shape(state)[0].samples.albedo
        reflectance, detail = absorb(basis, state.reflectance, state.detail, precision)
        state = replace(state, reflectance=reflectance, detail=detail[::times].contiguous())
        return self._result(state, matrix, held, unexplained, k, clean)

    def _result(self, state, matrix, held, unexplained, source, clean) -> SharedResult:
        state = replace(state, brows=brow_heights(self.fitter, state, self.seen[source]))
        deviations = spread(matrix, held)
        deviations = {n: deviations[self.fitter.columns[n]] for n in ("identity", "reflectance", "log_focal")}
        return SharedResult(state, deviations, unexplained, source, clean)

    def _steps(
        self, state: FitState, o: Observation, schedule, weights: Weights, deviation: float, damping: float = DAMPING
    ):
        """The state after a schedule of (level, what), the last system's matrix and what was held in it."""
        last = ()
        for level, what in schedule:
            state, *last = self._step(state, o, level, what, weights, deviation, damping)
            self.done += 1
            self.progress(min(self.done, self.total), self.total)
        return state, *last

    def _unexplained(self, state: FitState, seen: Observation, share: float = EXPLAINED) -> float:
        """Colour error of the visible samples without their own albedo, of 1: that share of them has less."""
        f = self.fitter
        state = replace(state, detail=torch.zeros_like(state.detail))
        geometry, vertices, _ = f.shape(state)
        visible = visible_samples(f.model, vertices, geometry, state, seen, f.settings.backend)
        colour = photometric_rows(geometry, state, seen, self.coarsest, visible, self.weights, f.layout, shared=True)
        errors = (colour.squared[colour.seen > 0.05] / 3).sqrt()
        return float(errors.quantile(share)) if len(errors) else 1.0

    def _step(
        self,
        state: FitState,
        seen: Observation,
        level: int | None,
        what: int,
        weights: Weights,
        deviation: float,
        damping: float,
    ) -> tuple[FitState, Tensor, Tensor]:
        """``deviation`` is that of a sample's own albedo.

        Returns the next state, the system's matrix and which of its unknowns were held.
        """
        f = self.fitter
        s, shared = f.settings, f.layout.shared
        geometry, vertices, neutral = f.shape(state)
        terms, _ = landmark_rows(f.marks, neutral, state, seen, weights, f.layout, shared=True)
        rows, detail = [terms], None
        if level is not None:
            visible = visible_samples(f.model, vertices, geometry, state, seen, s.backend)
            colour = photometric_rows(geometry, state, seen, level, visible, weights, f.layout, shared=True)
            rows.append(colour.rows)
            prior = weights.colour / (3 * len(state.detail)) / deviation**2
            detail = Elimination.of(colour, state.detail, prior, shared)
        held = torch.zeros(shared, dtype=torch.bool, device=state.identity.device)
        held_frame = f.held_frame.clone()
        if what == POSE:
            held[:] = True
        if what < COLOUR:
            held[f.columns["reflectance"]] = True
            light = f.columns["light"]
            held_frame[light.start - shared : light.stop - shared] = True
        if f.focal_known:
            held[f.columns["log_focal"]] = True
        step, matrix = solve_joint(
            NormalEquations.of(rows),
            shared_prior(state, f.focal_guess, s.priors, f.layout, f.sizes),
            frame_prior(state, s.priors, f.layout),
            state.expression,
            f.expression_columns,
            held,
            held_frame,
            damping=damping,
            reduction=detail and detail.reduction(),
        )
        after = state.stepped(step[:shared], step[shared:].view(len(state), -1), f.layout)
        if detail is not None:
            after = replace(after, detail=state.detail + detail.step(step))
        return f.with_eye_look(after), matrix, torch.cat([held, held_frame.repeat(len(state))])


def plausible(state: FitState) -> bool:
    """Whether the colours were explained by a skin and a light that people have.

    On an evenly lit photograph 80 coefficients of reflectance and 27 of light can explain all colours, by an orange
    skin with blue brows under a light from nowhere. Of people drawn from the model none has a mean square of the
    reflectance's coefficients above `TINTED`, for a picture tells little of each, or bands of light above the constant
    one that come to more than `UNEVEN` of it; of such photographs, larger than `LARGE_ALONE`, all have.
    """
    uneven = state.light[:, 1:].norm(dim=1) / state.light[:, 0].abs().clamp_min(1e-6)  # (F, 3)
    return bool(state.reflectance.square().mean() < TINTED) and bool(uneven.mean() < UNEVEN)


def brow_heights(fitter: Fitter, state: FitState, seen: Observation) -> Tensor:
    """(P',) shares of the face's size: how much higher each brow's landmark is seen over the eye than on the model.

    Where on the bone a brow grows is a person's own, and the identity's basis doesn't know it: expressions would have
    to explain it in every frame.
    """
    s, brows = fitter.marks, fitter.marks.on_brows
    _, _, neutral = fitter.shape(state)
    terms, _ = landmarks(s, neutral, state, seen, fitter.settings.weights, fitter.layout, shared=False)
    off, weight = (x.unflatten(1, (-1, 2))[:, -len(brows) :, 0] for x in (terms.value, terms.weight))
    return state.brows - (weight * off).sum(0) / weight.sum(0).clamp_min(1e-9)
