"""The iterated, bounded, robust steps against `scipy.optimize.least_squares`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from fitting.energy.landmark_points import landmark_points
from fitting.energy.landmarks import Landmarks, landmarks
from fitting.energy.priors import frame_prior
from fitting.energy.residuals import Residuals
from fitting.policy.weights import Priors, TermWeights
from fitting.solver.normal_equations import NormalEquations, Quadratic, solve_frames
from fitting.solver.state import POSE, Unknowns
from fitting.tracking.start import initial_state
from tests.fitting.conftest import in_double
from tests.fitting.rendered import observed
from tests.fitting.test_energy import shapes


@pytest.mark.parametrize("truth", [(0.6, 0.3, 0.2), (1.4, 0.3, -0.3)], ids=["inside", "at the bounds"])
def test_a_robust_curve_within_bounds(truth):
    """a exp(-3 b t) + c with noise and outliers, a, b, c in [0, 1], Cauchy's loss."""
    t, scale = np.linspace(0, 1, 40), 0.05
    noise = np.random.default_rng(0).normal(0, 0.02, 40)
    noise[::9] += 0.7
    seen = truth[0] * np.exp(-3 * truth[1] * t) + truth[2] + noise

    def value(x):
        return x[0] * np.exp(-3 * x[1] * t) + x[2] - seen

    def jacobian(x):
        fall = np.exp(-3 * x[1] * t)
        return np.stack([fall, -3 * t * x[0] * fall, np.ones_like(t)], -1)

    start = np.array([0.5, 0.5, 0.5])
    expected = least_squares(value, start, jacobian, (0, 1), loss="cauchy", f_scale=scale, xtol=1e-14, ftol=1e-14)
    x = torch.tensor(start)[None]
    for _ in range(200):
        residual = torch.tensor(value(x[0].numpy()))
        terms = Residuals(
            residual[None], (1 / (1 + (residual / scale) ** 2))[None], torch.tensor(jacobian(x[0].numpy()))[None]
        )
        step, _ = solve_frames(
            NormalEquations.of([terms.weighted()]),
            Quadratic(torch.zeros(1, 3, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)),
            (-x, 1 - x),
            damping=0.0,
        )
        x = (x + step).clamp(0, 1)
    np.testing.assert_allclose(x[0], expected.x, atol=1e-5)
    assert (np.isin(expected.x.round(4), (0, 1)).any()) == (truth[0] > 1)


def test_a_face_s_landmarks(model, clip):
    """Pose, expression and gaze of a frame from its landmarks: where the steps come to rest, SciPy's minimum is too.

    Both with the priors, and with the weights of the state that ten re-weighted steps reach.
    """
    _, pictures, points = clip
    marks, shape = in_double(landmark_points(model, "mediapipe478")), shapes(model, 1)
    seen = in_double(observed(pictures[5], points[5], ()))
    unknowns = Unknowns.of(model)
    layout = unknowns.layout
    columns, light = layout.own("motion"), layout.own("light")
    held = torch.zeros(layout.frame, dtype=torch.bool)
    held[light] = True
    start = in_double(initial_state(marks, marks.mean.float(), seen, 400.0, unknowns, 1))

    def within(state):
        return replace(state, **unknowns.clamped(state))

    def terms(state):
        return landmarks(Landmarks(marks, shape(state).marks), state, seen, TermWeights(), layout, shared=False)[0]

    state, fixed = start, None
    for k in range(40):
        rows = terms(state)
        fixed = rows.weight if k == 10 else fixed
        rows = rows if fixed is None else replace(rows, weight=fixed)
        prior, bounds = frame_prior(state, Priors(), unknowns, seen.exposure), unknowns.frame_bounds(state, held)
        step, _ = solve_frames(NormalEquations.of([rows.weighted()]), prior, bounds)
        state = within(state.stepped(None, step, layout))
    assert step.abs().max() < 1e-5

    weight = fixed[0].sqrt()
    own = slice(POSE, light.start)
    root = torch.linalg.cholesky(frame_prior(start, Priors(), unknowns, seen.exposure).precision[0, own, own]).T

    def at_step(x):
        frame = torch.zeros(1, layout.frame, dtype=torch.float64)
        frame[0, : light.start] = torch.from_numpy(x)
        return within(start.stepped(None, frame, layout))

    def value(x):
        s = at_step(x)
        data = terms(s).value[0] * weight
        return torch.cat([data, root @ torch.cat([s.expression, s.gaze.flatten(1)], 1)[0]]).numpy()

    lower, upper = np.full(light.start, -np.inf), np.full(light.start, np.inf)
    lower[columns], upper[columns] = -1e-9, 1  # the start's are all zero
    found = least_squares(value, np.zeros(light.start), bounds=(lower, upper), x_scale="jac", xtol=1e-12, max_nfev=60)
    theirs = at_step(found.x)
    mine = np.concatenate(
        [(terms(state).value[0] * weight).numpy(), (root @ torch.cat([state.expression, state.gaze.flatten(1)], 1)[0])]
    )
    assert 0.5 * mine @ mine == pytest.approx(found.cost, rel=1e-4)
    assert 0.5 * mine @ mine < 0.2 * 0.5 * (value(np.zeros(light.start)) ** 2).sum()
    torch.testing.assert_close(state.expression, theirs.expression, atol=5e-3, rtol=0)
    torch.testing.assert_close(state.rotation, theirs.rotation, atol=1e-3, rtol=0)
    torch.testing.assert_close(state.gaze, theirs.gaze, atol=5e-3, rtol=0)
