"""Identity, reflectance and focal length over key frames, with each frame's own unknowns.

A coarse solution from each source of landmarks (the detector, the network) shows whose lead to a face that explains
the pictures better. Where that comes near to explaining all, the fine solution is tried with the colours believed
(`fitting.policy.belief`), from the better source first. Where much is left unexplained then, or is explained by colours that
nobody has, it's done as usual, from the first source, the detector: the network has seen drawn people only.

One or two small faces, of which the sources of landmarks disagree, are explained pixel by pixel first
(`fitting.small`), from either source.

Where a part of a face seems to be behind something or in a cast shadow, that is tried without the one, and with a light
of its own for the other (`fitting.occlusion.parts`, `fitting.occlusion.shade`). If that fails, a face with a shadow still has two lights,
and of another the skin alone says what the reflectance is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fitting.energy.priors import frame_prior, shared_prior
from fitting.energy.rows import PhotometricRows, landmark_rows, photometric_rows
from fitting.energy.terms import Weights, landmarks
from fitting.energy.visibility import in_picture, visible_samples
from fitting.observation.crop import Observation
from fitting.occlusion.network import PARTS
from fitting.occlusion.network import SIZE as MASK_SIZE
from fitting.occlusion.parts import parts_at, seen_parts, shares
from fitting.occlusion.shade import BEGUN_WITH, rows_of_parts, with_shade, without_shade
from fitting.policy.belief import BY_PIXELS, IN_TWO_LIGHTS, NOISE_OF_PIXELS, OF_ALL, OF_PART, oddness
from fitting.small import STEPS, solve_small
from fitting.solver.detail import Elimination, absorb
from fitting.solver.gauss_newton import NormalEquations, solve_joint, spread
from fitting.solver.state import LIGHT, FitState
from fitting.tracking.frame import JOINT, Fitter
from foundation.progress import Event, Report, ignore

FEW = 2  # key frames, for which there is time for the most samples
POSE, SHAPE, COLOUR, SKIN = 0, 1, 2, 3  # a step's unknowns: pose, expression; identity, lens too; all; colours alone
SKIN_STEPS = 4  # in the end, over the skin alone
FROM_LANDMARKS = [(None, POSE)] * 6 + [(None, SHAPE)] * 6  # steps, as (level, what)
COARSE_STEPS = 4
COARSE_SCALE = 0.04  # of 1: scale of the robust colour term in the coarse solution
COARSE_DETAIL = 0.02  # deviation of the samples' own albedo there, which is to show what the basis alone explains
DAMPING, CLEAN_DAMPING = 1e-3, 1e-5  # share of the diagonal; what is flat moves slowly with more
CLEAN_STEPS = 3  # more of the last level where the colours are believed
EXPLAINED = 0.4  # share of the samples that are to be explained: the others may be occluded, or in a shadow
HIDDEN, SOME = 0.16, 0.05  # shares of a face that make it hidden, or a part of it
SHADED, UNKNOWN = 0.1, 0.9  # the same that makes a shadow; of other things, from which on a face is not understood
SURE = 2.0  # times as much count landmarks that know their own deviation: they don't err alike in every frame
FULL = 256.0  # px of the picture across the face's square, from which on the colours count fully
LEAST_PARTED = 96.0  # px of the picture across the face's square, from which on its parts can be told
LARGE = 160.0  # the same, from which on it means something that colours are explained, and landmarks count fully
DISPUTED = 0.03  # of a face's size: sources of landmarks so far apart don't both know such pictures
LARGE_ALONE = 200.0  # the same of few pictures, of which more can be explained


@dataclass(frozen=True)
class SharedResult:
    """What the key frames share, with the key frames' own parameters."""

    state: FitState
    spread: dict[str, Tensor]  # posterior standard deviations of identity (I,), reflectance (A,), log_focal (1,)
    unexplained: float  # colour error of the samples without their own albedo, of 1; EXPLAINED of them have less
    source: int  # which of the observations was used
    clean: bool  # the colours were believed
    parted: bool  # and only those that seem to be of skin
    by_pixels: bool = False  # every pixel of small pictures was explained


def solve_shared(fitter: Fitter, seen: Sequence[Observation], report: Report = ignore) -> SharedResult:
    """``seen``: the same key frames with landmarks of one or more sources."""
    return _KeyFrames(fitter, seen, report).solve()


@dataclass(frozen=True)
class _Solution:
    """The key frames' state, and what it was solved with."""

    state: FitState
    seen: Observation
    source: int  # which of the observations that is
    parts: Tensor | None = None  # see `seen_parts`; None: all may be skin
    shade: Tensor | None = None  # (F, 9, 3) light in a cast shadow; None: there is none
    hidden: float = 0.0  # share of the visible face, of the frame where that is most, that isn't lit skin
    unexplained: float = 1.0


class _KeyFrames:
    def __init__(self, fitter: Fitter, seen: Sequence[Observation], report: Report) -> None:
        self.fitter, self.seen, self.report = fitter, seen, report
        s = fitter.settings
        levels, counts = seen[0].worthwhile(s.joint_levels, s.joint_steps)
        self.fine = [[(size, COLOUR)] * n for size, n in zip(levels, counts)]
        self.coarsest = s.joint_levels[0] if s.joint_levels else None
        self.side = float(seen[0].side.median())
        # A pixel is a larger share of a small face. Over many frames the landmarks' errors cancel.
        few = len(seen[0]) <= FEW
        self.sure = min(1.0, self.side / LARGE) ** 2 if few else 1.0
        self.large = self.side > (LARGE_ALONE if few else LARGE)
        self.disputed = few and _apart(seen) > DISPUTED
        self.by_pixels = self.disputed and all(p is not None for p in seen[0].pixels or [None])
        self.weights = self._sized(s.joint_weights)
        self.done, self.total = 0, len(seen) * (len(FROM_LANDMARKS) + COARSE_STEPS) + sum(counts)
        self.total += self.by_pixels * len(seen) * STEPS

    def solve(self) -> SharedResult:
        placed = [self._placed(k) for k in range(len(self.seen) if self.fine else 1)]
        if not self.fine:
            return self._result(*placed[0], clean=False)
        placed = [x for x, *_ in placed]
        parted = [self._parted(x) for x in placed]
        hidden = min(p.hidden for p in parted)  # wrong landmarks make samples of the background, too
        if self.large or self.disputed:
            coarse = [self._coarse(x) for x in (parted if hidden > HIDDEN else placed)]
            coarse.sort(key=lambda x: x.unexplained)
            if self.by_pixels and (result := self._by_pixels(coarse)) is not None:
                return result
            for x in coarse:
                limits = OF_ALL if x.parts is None else OF_PART if x.shade is None else IN_TWO_LIGHTS
                if x.unexplained < limits.coarse:
                    result = self._fine(x, clean=True)
                    if result.unexplained < limits.fine and oddness(result.state) < limits.odd:
                        return result
        if hidden > HIDDEN and parted[0].shade is not None:
            return self._fine(self._coarse(parted[0]), clean=False)
        return self._fine(self._coarse(placed[0]), clean=False, skin=parted[0] if hidden > SOME else None)

    def _sized(self, w: Weights) -> Weights:
        return replace(w, landmarks=self.sure * w.landmarks, pairs=self.sure * w.pairs)

    def _placed(self, source: int):
        """The solution from one of the sources of landmarks alone; see `_steps`."""
        seen = self.seen[source]
        return self._steps(_Solution(self.fitter.start(seen), seen, source), FROM_LANDMARKS, self.weights, 1.0)

    def _coarse(self, x: _Solution) -> _Solution:
        weights = replace(self.weights, colour_scale=COARSE_SCALE)
        x, *_ = self._steps(x, [(self.coarsest, COLOUR)] * COARSE_STEPS, weights, COARSE_DETAIL)
        return replace(x, unexplained=self._unexplained(x))

    def _parted(self, x: _Solution) -> _Solution:
        """The same with what its frames show where, and with a light in their shadows where they have any."""
        if MASK_SIZE not in x.seen.levels or self.side < LEAST_PARTED:
            return x
        f, parts = self.fitter, seen_parts(x.seen)
        geometry, vertices, _ = f.shape(x.state)
        visible, where = visible_samples(f.model, vertices, geometry, x.state, x.seen)
        visible = visible * in_picture(where, x.seen)
        share = shares(parts_at(parts, where), visible)  # (F, 3)
        hidden = float((share[:, PARTS.index("shadow")] + share[:, PARTS.index("other")]).max())
        if share[:, PARTS.index("other")].max() > UNKNOWN:
            return x
        shaded = share[:, PARTS.index("shadow")].max() > SHADED
        return replace(x, parts=parts, hidden=hidden, shade=BEGUN_WITH * x.state.light if shaded else None)

    def _fine(self, x: _Solution, clean: bool, skin: _Solution | None = None) -> SharedResult:
        """``skin`` knows what is skin, for the reflectance alone, where that isn't to count for the shape."""
        fitter, s, o = self.fitter, self.fitter.settings, x.seen
        times = JOINT[0] if len(o) <= FEW else JOINT[1] if clean else JOINT[2]
        x = replace(x, state=replace(x.state, detail=x.state.detail.new_zeros(times * len(fitter.samples), 3)))
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
            x, matrix, held = self._steps(x, part + more, weights, fitter.belief.detail, damping)
        x = replace(x, unexplained=self._unexplained(x))
        if skin is not None:
            y = replace(skin, state=x.state)
            y, *_ = self._steps(y, [(part[-1][0], SKIN)] * SKIN_STEPS, weights, fitter.belief.detail, damping)
            x = replace(x, state=y.state)
        state, precision = x.state, s.weights.colour / s.weights.colour_scale**2 / (3 * len(x.state.detail))
        basis = fitter.shape(state)[0].samples.albedo
        reflectance, detail = absorb(basis, state.reflectance, state.detail, precision)
        state = replace(state, reflectance=reflectance, detail=detail[::times].contiguous())
        return self._result(replace(x, state=state), matrix, held, clean)

    def _by_pixels(self, starts: list[_Solution]) -> SharedResult | None:
        """What explains every pixel of small pictures but for noise; None where nothing that people have does.

        Either start may lead to the best, but the landmarks of the first explain the colours better.
        """
        first = starts[0]
        found = [solve_small(self.fitter, x.state, x.seen.pixels, self._advance) for x in starts]
        for result in sorted(found, key=lambda r: r.energy):
            if result.noise < NOISE_OF_PIXELS and math.isfinite(oddness(result.state, BY_PIXELS)):
                detail = first.state.detail.new_zeros(len(self.fitter.samples), 3)
                x = _Solution(replace(result.state, detail=detail), first.seen, first.source)
                x = replace(x, unexplained=self._unexplained(x))
                return replace(self._result(x, result.matrix, result.held, clean=True), by_pixels=True)
        return None

    def _result(self, x: _Solution, matrix: Tensor, held: Tensor, clean: bool) -> SharedResult:
        state = replace(x.state, brows=brow_heights(self.fitter, x.state, x.seen))
        deviations = spread(matrix, held)
        deviations = {n: deviations[self.fitter.columns[n]] for n in ("identity", "reflectance", "log_focal")}
        return SharedResult(state, deviations, x.unexplained, x.source, clean, x.parts is not None)

    def _steps(self, x: _Solution, schedule, weights: Weights, deviation: float, damping: float = DAMPING):
        """What a schedule of (level, what) leads to, the last system's matrix and what was held in it."""
        last = ()
        for level, what in schedule:
            x, *last = self._step(x, level, what, weights, deviation, damping)
            self._advance()
        return x, *last

    def _advance(self) -> None:
        self.done += 1
        self.report(Event("solving for identity", min(self.done, self.total), self.total, "steps"))

    def _unexplained(self, x: _Solution) -> float:
        """Colour error of the visible samples without their own albedo, of 1: `EXPLAINED` of them have less."""
        x = replace(x, state=replace(x.state, detail=torch.zeros_like(x.state.detail)))
        colour = self._colour(x, self.coarsest, self.weights)
        errors = (colour.squared[colour.seen > 0.05] / 3).sqrt()
        return float(errors.quantile(EXPLAINED)) if len(errors) else 1.0

    def _colour(self, x: _Solution, level: int, weights: Weights) -> PhotometricRows:
        f = self.fitter
        geometry, vertices, _ = f.shape(x.state)
        visible, where = visible_samples(f.model, vertices, geometry, x.state, x.seen)
        if x.parts is None:
            return photometric_rows(geometry, x.state, x.seen, level, visible, weights, f.layout, shared=True)
        parts, near = parts_at(x.parts, where), f.near(len(geometry.samples))
        return rows_of_parts(geometry, x.state, x.shade, x.seen, level, visible, parts, near, weights, f.layout)

    def _step(
        self, x: _Solution, level: int | None, what: int, weights: Weights, deviation: float, damping: float
    ) -> tuple[_Solution, Tensor, Tensor]:
        """``deviation`` is that of a sample's own albedo.

        Returns what it leads to, the system's matrix and which of its unknowns were held.
        """
        f, state = self.fitter, x.state
        s, shared, own = f.settings, f.layout.shared, f.layout.frame
        _, _, neutral = f.shape(state)
        terms, _ = landmark_rows(f.marks, neutral, state, x.seen, weights, f.layout, shared=True)
        prior = frame_prior(state, s.priors, f.layout)
        held = torch.zeros(shared, dtype=torch.bool, device=state.identity.device)
        held_frame = f.held_frame.clone()
        if what == POSE:
            held[:] = True
        if what < COLOUR:
            held[f.columns["reflectance"]] = True
            held_frame[own - LIGHT :] = True
        if what == SKIN:
            held[:], held_frame[:] = True, True
            held[f.columns["reflectance"]] = held_frame[own - LIGHT :] = False
        if f.focal_known:
            held[f.columns["log_focal"]] = True
        rows, detail, shade = [terms], None, x.shade if level is not None else None
        if shade is not None:
            rows, prior = [without_shade(terms)], with_shade(prior, shade, s.priors, f.layout)
            held_frame = torch.nn.functional.pad(held_frame, (0, LIGHT))
        if level is not None:
            colour = self._colour(x, level, weights)
            rows.append(colour.rows)
            detail = Elimination.of(
                colour, state.detail, weights.colour / (3 * len(state.detail)) / deviation**2, shared
            )
        step, matrix = solve_joint(
            NormalEquations.of(rows),
            shared_prior(state, f.focal_guess, s.priors, f.layout, f.sizes),
            prior,
            state.expression,
            f.expression_columns,
            held,
            held_frame,
            damping=damping,
            reduction=detail and detail.reduction(),
        )
        frame = step[shared:].view(len(state), -1)
        after = state.stepped(step[:shared], frame[:, :own], f.layout)
        if detail is not None:
            after = replace(after, detail=state.detail + detail.step(step))
        if shade is not None:
            shade = shade + frame[:, own:].view(-1, 3, 9).transpose(1, 2)
        x = replace(x, state=f.with_eye_look(after), shade=x.shade if shade is None else shade)
        return x, matrix, torch.cat([held, held_frame.repeat(len(state))])


def _apart(seen: Sequence[Observation]) -> float:
    """How far from the first source's landmarks the second's are: median, of the faces' size; 0 if there is one."""
    if len(seen) < 2:
        return 0.0
    first, second = seen[:2]
    return float(((first.landmarks - second.landmarks).norm(dim=-1) / first.face_size[:, None]).nanmedian())


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
