"""Probes against codes of which is known what they hold."""

import numpy as np
import pytest

from benchmarks.probes import Scale, explained, read, recognized, ridge, stability


@pytest.fixture
def rows():
    """12 people in 4 performances of their own, of 6 frames: person, performance, expressions (N, 5)."""
    people, performances = (a.ravel() for a in np.meshgrid(np.arange(12), np.repeat(np.arange(4), 6), indexing="ij"))
    return people, performances, np.random.default_rng(0).normal(size=(len(people), 5))


def test_ridge_is_least_squares_without_weight():
    g = np.random.default_rng(1)
    x, y = g.normal(size=(50, 3)), g.normal(size=(50, 2))
    found = np.linalg.lstsq(np.c_[x, np.ones(50)], y, rcond=None)[0]
    np.testing.assert_allclose(ridge(x, y, 0.0), found, atol=1e-10)
    np.testing.assert_allclose(ridge(x, y, 1e9)[:-1], 0, atol=1e-8)


def test_scaled_codes_are_white_and_constants_do_not_count():
    codes = np.random.default_rng(2).normal(size=(200, 4)) * (1, 10, 1e-3, 0) + 5
    white = Scale(codes)(codes)
    assert white.shape == (200, 3)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(3), atol=1e-8)
    kept = Scale(codes, even=False)(codes)  # turned, and as large as the strongest component allows
    spread = np.sqrt(np.diag(kept.T @ kept) / 200)
    assert spread[0] == pytest.approx(1) and (np.diff(spread) < 0).all() and spread[2] > 0.8


def test_an_expression_is_read_of_what_is_linear_in_it(rows):
    people, performances, shown = rows
    g = np.random.default_rng(3)
    mixed = shown @ g.normal(size=(5, 9)) + 2
    assert explained(mixed, shown, people) > 0.999
    assert explained(g.normal(size=mixed.shape), shown, people) < 0.05
    half = shown + g.normal(size=shown.shape) * shown.std(0)  # half of the variance is noise
    assert explained(half, shown, people) == pytest.approx(0.5, abs=0.1)
    assert recognized(mixed, people, performances) < 0.2


def test_what_one_number_needs_is_not_asked_of_another(rows):
    """A number that is read exactly beside forty that can't be read at all."""
    people, _, shown = rows
    others, noise = np.random.default_rng(7).normal(size=(2, len(people), 40))
    wanted = np.c_[100 * shown[:, :1], noise]
    tested = people > 5
    found = read(np.c_[shown, others], wanted, people, tested, names=False)
    np.testing.assert_allclose(found[:, 0], wanted[tested][:, 0], atol=0.5)
    assert np.square(found[:, 1:] - noise[tested]).mean() < 1.05 * noise[tested].var()


def test_a_person_is_read_of_what_says_who_it_is(rows):
    people, performances, shown = rows
    g = np.random.default_rng(4)
    who = g.normal(size=(12, 20))[people]
    assert recognized(np.c_[who, shown], people, performances) == 1
    assert explained(who, shown, people) < 0.05


def test_what_is_tested_is_not_fitted(rows):
    people, _, shown = rows
    tested = people > 5
    spoilt = np.where(tested[:, None], 1e3, shown)
    np.testing.assert_allclose(read(shown, spoilt, people, tested, names=False), shown[tested], atol=0.05)


def test_stability_is_one_of_the_same_and_nought_of_any_other():
    codes = np.random.default_rng(5).normal(size=(400, 6))
    assert stability(codes, codes) == 1
    assert stability(codes, codes[np.random.default_rng(6).permutation(400)]) == pytest.approx(0, abs=0.1)
    assert 0.4 < stability(codes, codes + np.random.default_rng(7).normal(size=codes.shape)) < 0.8
