"""The elimination of each sample's own albedo against the whole system that has it as unknowns."""

import torch

from fitting.solver.detail import Elimination, RowByRow, absorb


def test_what_is_left_out_and_put_back_is_the_whole_solution():
    frames, samples, shared, own, prior = 2, 5, 3, 2, 1.7
    g = torch.Generator().manual_seed(0)
    normal = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    rows = [normal(3 * samples, shared + own + 1) for _ in range(frames)]  # the residual last
    by, detail = normal(frames, 3 * samples), normal(samples, 3)
    total, values = shared + frames * own, 3 * samples
    jacobian, residual = torch.zeros(frames * values, total + values, dtype=torch.float64), []
    for f, r in enumerate(rows):
        block, start = slice(f * values, (f + 1) * values), shared + f * own
        jacobian[block, :shared] = r[:, :shared]
        jacobian[block, start : start + own] = r[:, shared:-1]
        jacobian[block, total:] = torch.diag(by[f])
        residual.append(r[:, -1])
    matrix = jacobian.T @ jacobian
    gradient = jacobian.T @ torch.cat(residual)
    matrix[total:, total:] += prior * torch.eye(values, dtype=torch.float64)
    gradient[total:] += prior * detail.flatten()
    expected = -torch.linalg.solve(matrix, gradient)

    e = Elimination.of(rows, by, detail, prior, shared)
    less, slope = e.reduction()
    step = -torch.linalg.solve(matrix[:total, :total] - less, gradient[:total] - slope)
    torch.testing.assert_close(step, expected[:total])
    torch.testing.assert_close(e.step(step), expected[total:].view(samples, 3))


def test_a_single_frame_s_rows_come_to_the_same_one_by_one():
    samples, shared, own, prior = 40, 3, 2, 1.7
    g = torch.Generator().manual_seed(3)
    normal = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    seen = torch.rand(samples, generator=g).sub(0.3).clamp_min(0)
    shown = (seen > 0).repeat_interleave(3)
    rows, by, detail = normal(3 * samples, shared + own + 1), normal(3 * samples), normal(samples, 3)
    rows[~shown], by[~shown] = 0.0, 0.0
    whole = Elimination.of([rows], by[None], detail, prior, shared)
    less, slope = whole.reduction()
    single = RowByRow.of(rows.clone(), by, detail, prior, seen)
    matrix = single.rows.T @ single.rows
    torch.testing.assert_close(matrix[:-1, :-1], rows[:, :-1].T @ rows[:, :-1] - less)
    torch.testing.assert_close(matrix[:-1, -1], rows[:, :-1].T @ rows[:, -1] - slope)
    assert len(single.rows) == int(shown.sum()) < len(rows)
    step = normal(shared + own)
    torch.testing.assert_close(single.step(step), whole.step(step))


def test_absorbing_changes_no_colour_and_leaves_to_detail_what_the_model_cannot_say():
    g = torch.Generator().manual_seed(1)
    normal = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    basis, reflectance, told, mole = normal(30, 3, 4), normal(4), normal(4), 0.5 * normal(30, 3)
    inside = basis.flatten(0, 1)
    mole -= (inside @ torch.linalg.lstsq(inside, mole.flatten()[:, None]).solution).view(30, 3)
    new, left = absorb(basis, reflectance, basis @ told + mole, precision=1e6)
    torch.testing.assert_close(new, reflectance + told, atol=1e-4, rtol=0)
    torch.testing.assert_close(left, mole, atol=1e-4, rtol=0)
    detail = basis @ told + mole
    new, left = absorb(basis, reflectance, detail, precision=0.02)
    torch.testing.assert_close(basis @ new + left, basis @ reflectance + detail)
    energy = lambda x: 0.02 * (basis @ (reflectance - x) + detail).square().sum() + x.square().sum()  # noqa: E731
    assert torch.autograd.functional.jacobian(energy, new).abs().max() < 1e-9  # the best of both
