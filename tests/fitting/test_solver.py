"""The bounded step against SciPy; the joint step against the same system written out whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from fitting.energy.rows import weighted
from fitting.energy.terms import Residuals
from fitting.solver.gauss_newton import NormalEquations, solve_bounded, solve_frames, solve_joint, spread


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


def problem(frames=3, shared=4, own=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    rows = Residuals(
        torch.randn(frames, 30, generator=g),
        torch.rand(frames, 30, generator=g),
        torch.randn(frames, 30, shared + own, generator=g),
    )
    return NormalEquations.of([weighted(rows)]), rows


def test_joint_step_solves_the_whole_system():
    frames, shared, own = 3, 4, 6
    equations, rows = problem(frames, shared, own)
    expression = torch.zeros(frames, 0)  # no bounds
    whole = (
        equations,
        (torch.full((shared,), 2.0), torch.zeros(shared)),
        (torch.eye(own).expand(frames, own, own), torch.zeros(frames, own)),
        expression,
        slice(0, 0),
        torch.zeros(shared, dtype=torch.bool),
        torch.zeros(own, dtype=torch.bool),
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
    deviations = spread(matrix, held).numpy()
    np.testing.assert_allclose(deviations[free], np.sqrt(np.diag(inverse)), rtol=1e-3)
    assert deviations[1] == 0


def test_batch_equals_singles_and_held_columns_stay():
    equations, _ = problem(3, 0, 6)
    prior, slope = torch.eye(6).expand(3, 6, 6), torch.zeros(3, 6)
    held = torch.tensor([False, True, False, False, False, False])
    expression = torch.tensor([[0.0, 0.2], [0.9, 1.0], [0.5, 0.5]])
    whole, _ = solve_frames(equations, prior, slope, expression, slice(2, 4), held)
    assert (whole[:, 1] == 0).all()
    assert ((expression + whole[:, 2:4]) >= -1e-6).all() and ((expression + whole[:, 2:4]) <= 1 + 1e-6).all()
    for f in range(3):
        one = NormalEquations(equations.matrix[f : f + 1], equations.gradient[f : f + 1], equations.energy[f : f + 1])
        single, _ = solve_frames(one, prior[:1], slope[:1], expression[f : f + 1], slice(2, 4), held)
        torch.testing.assert_close(single[0], whole[f])
