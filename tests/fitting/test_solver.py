"""The bounded step against SciPy; the joint step against the same system written out whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from fitting.energy.residuals import Residuals
from fitting.solver import factorization
from fitting.solver.bounds import solve_bounded
from fitting.solver.normal_equations import (
    NormalEquations,
    Quadratic,
    less_told,
    solve_frames,
    solve_joint,
    spread,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_bounded_step_is_scipy_s(seed, size):
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(size + 20, size, generator=g, dtype=torch.float64)
    b = torch.randn(size + 20, generator=g, dtype=torch.float64)
    at_bound = torch.rand(size, generator=g) > 0.5
    lower = torch.where(at_bound, 0.0, -torch.rand(size, generator=g, dtype=torch.float64))
    upper = lower + 0.3
    upper = torch.maximum(upper, torch.zeros_like(upper))
    expected = lsq_linear(a.numpy(), b.numpy(), (lower.numpy(), upper.numpy() + 1e-15), tol=1e-14)
    matrix, gradient = a.T @ a, -a.T @ b
    got = solve_bounded(matrix, gradient, lower, upper, passes=12)
    assert (got >= lower).all() and (got <= upper).all()
    cost = 0.5 * got @ matrix @ got + gradient @ got + 0.5 * b @ b
    assert cost == pytest.approx(expected.cost, rel=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 20), st.integers(0, 8))
def test_bounded_step_of_shapes_that_look_alike(seed, size, passes):
    """Columns that nearly depend on each other, as expressions do: held and free exchange places many times.

    In the end they do so one by one. At the minimum the slope of free unknowns is zero and that of held ones points
    outwards; after too few passes the step is still one that doesn't make things worse.
    """
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(size + 20, 5, generator=g, dtype=torch.float64) @ torch.randn(5, size, generator=g).double()
    a = a + 0.1 * torch.randn(size + 20, size, generator=g, dtype=torch.float64)
    matrix = a.T @ a + 1e-3 * torch.eye(size, dtype=torch.float64)
    gradient = -a.T @ torch.randn(size + 20, generator=g, dtype=torch.float64)
    lower = -0.3 * torch.rand(size, generator=g, dtype=torch.float64).sub(0.5).clamp_min(0)
    upper = lower + 0.3

    value = lambda d: float(0.5 * d @ matrix @ d + gradient @ d)  # noqa: E731
    step = solve_bounded(matrix, gradient, lower, upper, passes=5000)
    assert (step >= lower).all() and (step <= upper).all()
    slope, small = matrix @ step + gradient, 1e-6 * float(gradient.abs().max())
    assert (slope[(step > lower) & (step < upper)].abs() < small).all()
    assert (slope[step == lower] > -small).all() and (slope[step == upper] < small).all()

    short = solve_bounded(matrix, gradient, lower, upper, passes=passes)
    assert (short >= lower).all() and (short <= upper).all()
    assert value(step) - 1e-9 <= value(short) <= 0


def unbounded(*shape):
    limit = torch.full(shape, torch.inf, dtype=torch.float64)
    return -limit, limit


def problem(frames=3, shared=4, own=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    rows = Residuals(
        torch.randn(frames, 30, generator=g),
        torch.rand(frames, 30, generator=g),
        torch.randn(frames, 30, shared + own, generator=g),
    )
    return NormalEquations.of([rows.weighted()]), rows


def test_joint_step_solves_the_whole_system():
    frames, shared, own = 3, 4, 6
    equations, rows = problem(frames, shared, own)
    whole = (
        equations,
        Quadratic(2 * torch.eye(shared), torch.zeros(shared)),
        Quadratic(torch.eye(own).expand(frames, own, own), torch.zeros(frames, own)),
        (unbounded(shared), unbounded(frames, own)),
    )
    step, matrix = solve_joint(*whole, damping=0.0)
    damped, same = solve_joint(*whole, damping=1.0)
    assert torch.equal(same, matrix) and damped.norm() < step.norm()  # spreads don't depend on the damping
    total = shared + frames * own
    jacobian, value = np.zeros((frames * 30, total)), np.zeros(frames * 30)
    for f in range(frames):
        root = rows.weight[f].sqrt().numpy()
        block = slice(f * 30, (f + 1) * 30)
        jacobian[block, :shared] = root[:, None] * rows.jacobian[f, :, :shared].numpy()
        start = shared + f * own
        jacobian[block, start : start + own] = root[:, None] * rows.jacobian[f, :, shared:].numpy()
        value[block] = root * rows.value[f].numpy()
    prior = np.diag(np.r_[np.full(shared, 2.0), np.ones(frames * own)])
    expected = -np.linalg.solve(jacobian.T @ jacobian + prior, jacobian.T @ value)
    np.testing.assert_allclose(step.numpy(), expected, rtol=1e-3, atol=1e-5)

    held = torch.zeros(total, dtype=torch.bool)
    held[1] = True
    free = np.flatnonzero(~held.numpy())
    inverse = np.linalg.inv((jacobian.T @ jacobian + prior)[np.ix_(free, free)])
    stds = spread(matrix, held).numpy()
    np.testing.assert_allclose(stds[free], np.sqrt(np.diag(inverse)), rtol=1e-3)
    assert stds[1] == 0


@pytest.mark.parametrize("frames", [1, 2, 8])
@pytest.mark.parametrize("alike", [0.0, 0.3, 1.0])
def test_frames_that_err_alike_tell_less_of_what_they_share(frames, alike):
    """Against generalised least squares of one number that each frame measures, with errors that go together."""
    std, prior = 0.5, 0.7  # of a measurement; precision of the number
    covariance = std**2 * ((1 - alike) * np.eye(frames) + alike)
    # All errors alike leave one measurement, for which no inverse of the covariance is needed.
    told = std**-2 if alike == 1 else np.linalg.inv(covariance).sum()
    rows = torch.zeros(frames, 1, 3, dtype=torch.float64)
    rows[:, 0, 0] = 1 / std  # nothing is measured of the frame's own number
    shared = Quadratic(torch.tensor([[prior]], dtype=torch.float64), torch.zeros(1))
    own = Quadratic(torch.full((frames, 1, 1), 4.0, dtype=torch.float64), torch.zeros(frames, 1))
    bounds = unbounded(1), unbounded(frames, 1)
    _, matrix = solve_joint(NormalEquations.of([list(rows)]), shared, own, bounds, damping=0.0)
    stds = spread(less_told(matrix, shared, own, alike), torch.zeros(1 + frames, dtype=torch.bool))
    assert float(stds[0]) == pytest.approx((told + prior) ** -0.5, rel=1e-5)
    assert stds[1:].tolist() == pytest.approx([0.5] * frames)


def test_batch_equals_singles_and_held_columns_stay():
    equations, _ = problem(3, 0, 6)
    prior, slope = torch.eye(6).expand(3, 6, 6), torch.zeros(3, 6)
    lower, upper = unbounded(3, 6)
    expression = torch.tensor([[0.0, 0.2], [0.9, 1.0], [0.5, 0.5]])
    lower[:, 2:4], upper[:, 2:4] = -expression, 1 - expression
    lower[:, 1] = upper[:, 1] = 0.0
    whole, _ = solve_frames(equations, Quadratic(prior, slope), (lower, upper))
    assert (whole[:, 1] == 0).all()
    assert ((expression + whole[:, 2:4]) >= -1e-6).all() and ((expression + whole[:, 2:4]) <= 1 + 1e-6).all()
    for f in range(3):
        at = slice(f, f + 1)
        one = NormalEquations(equations.matrix[at], equations.gradient[at], equations.energy[at])
        single, _ = solve_frames(one, Quadratic(prior[at], slope[at]), (lower[at], upper[at]))
        torch.testing.assert_close(single[0], whole[f])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.integers(0, 9)), st.booleans())
def test_what_nothing_touches_stays_and_is_open(seed, untouched, priors):
    """Any of the unknowns without data, with or without a prior; the others' answers don't depend on them."""
    g = torch.Generator().manual_seed(seed)
    size, untouched = 10, sorted(untouched)
    rows = torch.randn(30, size, generator=g, dtype=torch.float64)
    rows[:, untouched] = 0
    right = torch.randn(30, generator=g, dtype=torch.float64)
    matrix, gradient = rows.T @ rows, rows.T @ right
    if priors:
        matrix = matrix + torch.diag(torch.full((size,), 4.0, dtype=torch.float64))
    touched = [k for k in range(size) if k not in untouched]
    step = solve_bounded(matrix, gradient, *unbounded(size))
    stds = spread(matrix, torch.zeros(size, dtype=torch.bool))
    assert torch.isfinite(step).all() and not stds.isnan().any()
    assert (step[untouched].abs() < 1e-9).all()
    expected = torch.full((len(untouched),), 0.5 if priors else torch.inf)
    torch.testing.assert_close(stds[untouched], expected)
    if touched:
        part = matrix[touched][:, touched]
        torch.testing.assert_close(step[touched], -torch.linalg.solve(part, gradient[touched]))
        torch.testing.assert_close(stds[touched], torch.linalg.inv(part).diagonal().sqrt().float(), rtol=1e-4, atol=0)


def test_a_direction_that_is_open_moves_no_further_than_it_must():
    """Two unknowns of which data know the sum alone: each takes half, and neither is known."""
    matrix = torch.tensor([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 3.0]], dtype=torch.float64)
    solution = factorization.solve(matrix, torch.tensor([4.0, 4.0, 6.0], dtype=torch.float64))
    torch.testing.assert_close(solution, torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64))
    assert factorization.variances(matrix)[:2].isinf().all()
    assert float(factorization.variances(matrix)[2]) == pytest.approx(1 / 3)
    both = torch.stack([matrix, torch.eye(3, dtype=torch.float64)])
    torch.testing.assert_close(factorization.variances(both)[1], torch.ones(3, dtype=torch.float64))
