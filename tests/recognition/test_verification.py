"""Metrics against scikit-learn's, brute force and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve

from foundation.errors import PortraitError
from recognition.verification import (
    best_threshold,
    confidence,
    cosines,
    equal_error_rate,
    pool_templates,
    rank_one,
    roc,
    true_accept_rate,
    verify,
)


def normal_scores(count: int, distance: float, seed: int = 0):
    draw = np.random.default_rng(seed)
    same = np.arange(2 * count) < count
    return draw.normal(0, 1, 2 * count) + distance * same, same


def embeddings(pairs: int, spread: float, folds: int = 10, seed: int = 0):
    draw = np.random.default_rng(seed)
    same = np.arange(pairs) % 2 == 0
    first = draw.normal(size=(pairs, 8))
    other = np.where(same[:, None], first, draw.normal(size=(pairs, 8)))
    offset = 3.0  # a shared offset, which the subtraction of the mean takes away
    noise = spread * draw.normal(size=(2, pairs, 8))
    return first + noise[0] + offset, other + noise[1] + offset, same, np.arange(pairs) * folds // pairs


@settings(deadline=None, max_examples=150)
@given(arrays(np.int64, st.integers(2, 12), elements=st.integers(-4, 4)), st.integers(0, 2**12))
def test_the_best_threshold_is_brute_force_s(scores, bits):
    scores = scores.astype(float)
    same = np.array([bits >> k & 1 for k in range(len(scores))], bool)
    ours = accuracy_score(same, scores >= best_threshold(scores, same))
    tried = np.concatenate([np.unique(scores), [10.0]])
    assert ours == max(accuracy_score(same, scores >= t) for t in tried)


def test_equal_error_rate_is_the_closed_form_and_scikit_learn_s():
    scores, same = normal_scores(40_000, 2.0)
    assert equal_error_rate(scores, same) == pytest.approx(stats.norm.cdf(-1), abs=0.004)
    false, true, _ = roc_curve(same, scores)
    k = np.argmin(np.abs(1 - true - false))
    assert equal_error_rate(scores, same) == pytest.approx((false[k] + 1 - true[k]) / 2, abs=1e-3)


def test_equal_error_rate_between_points_and_at_the_ends():
    same = np.array([True, False])
    assert equal_error_rate(np.array([1.0, 0]), same) == 0
    assert equal_error_rate(np.array([0.0, 1]), same) == 1
    assert equal_error_rate(np.array([0.0, 0]), same) == pytest.approx(0.5)
    # points of the ROC: (0, 1/2), (1/2, 1/2), (1/2, 1), (1, 1): rejects and accepts are equal at 1/2, 1/2
    assert equal_error_rate(np.array([4.0, 2, 3, 1]), np.array([True, True, False, False])) == pytest.approx(0.5)


def test_true_accepts_at_a_rate_are_scikit_learn_s_and_never_above_the_rate():
    scores, same = normal_scores(2000, 2.5)
    false, true, _ = roc_curve(same, scores, drop_intermediate=False)
    for far in (0.1, 0.01, 0.001):
        assert true_accept_rate(scores, same, far) == true[false <= far].max()
        threshold = np.sort(scores[~same])[::-1][int(far * 2000)]  # so many are above it
        assert true_accept_rate(scores, same, far) == np.mean(scores[same] > threshold)
    assert true_accept_rate(scores, same, 0.1) == pytest.approx(stats.norm.sf(1.2816 - 2.5), abs=0.03)
    with pytest.raises(PortraitError, match="2000 pairs of different people can't show"):
        true_accept_rate(scores, same, 1e-4)


def test_roc_needs_both_kinds_and_rises():
    scores, same = normal_scores(100, 1.0)
    false, true = roc(scores, same)
    assert (np.diff(false) >= 0).all() and (np.diff(true) >= 0).all()
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    with pytest.raises(PortraitError, match="one person and pairs of two"):
        roc(scores, np.ones(200, bool))


def test_the_fold_protocol_takes_thresholds_and_means_from_the_other_folds():
    first, second, same, folds = embeddings(600, 0.4)
    done = verify(first, second, same, folds)
    for k in range(10):
        others = folds != k
        mean = np.concatenate([first[others], second[others]]).mean(0)
        scores = cosines(first - mean, second - mean)
        tried = np.unique(scores[others])
        best = max(np.mean((scores[others] >= t) == same[others]) for t in tried)
        threshold = best_threshold(scores[others], same[others])
        assert np.mean((scores[others] >= threshold) == same[others]) == best
        assert done.accuracies[k] == np.mean((scores[~others] >= threshold) == same[~others])
        np.testing.assert_allclose(done.scores[~others], scores[~others])
    assert done.accuracy > 0.9 > np.mean((cosines(first, second) > 0.5) == same)
    assert done.auc == roc_auc_score(same, done.scores)
    assert done.tar(0.1) > 0.9 and np.isnan(done.tar(1e-4))


def test_a_fold_s_own_pairs_do_not_move_its_threshold():
    first, second, same, folds = embeddings(200, 0.4)
    before = verify(first, second, same, folds).accuracies
    flipped = np.where(folds == 3, ~same, same)
    after = verify(first, second, flipped, folds).accuracies
    assert after[3] == pytest.approx(1 - before[3])


def test_bad_pairs_are_refused():
    first, second, same, folds = embeddings(40, 0.1)
    with pytest.raises(PortraitError, match="two or more, got 1"):
        verify(first, second, same, np.zeros(40))
    first[3] = np.nan
    with pytest.raises(PortraitError, match="aren't finite"):
        verify(first, second, same, folds)


def test_confidence_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(0)
    samples = draw.normal(0.9, 0.02, (2000, 10))
    hits = [abs(s.mean() - 0.9) <= confidence(s) for s in samples]
    assert 0.93 < np.mean(hits) < 0.97
    low, high = stats.t.interval(0.95, 9, samples[0].mean(), stats.sem(samples[0]))
    assert confidence(samples[0]) == pytest.approx((high - low) / 2)
    assert np.isnan(confidence(np.array([1.0])))


def test_rank_one_counts_nearest_people_by_angle():
    gallery, ids = np.eye(3), np.array([7, 8, 9])
    probes = np.array([[10.0, 1, 0], [0, 0.1, 0.2], [0, 3, 1], [1, 0, 0.9]])
    assert rank_one(gallery, ids, probes, np.array([7, 9, 8, 9])) == 0.75
    with pytest.raises(PortraitError, match="aren't in the gallery"):
        rank_one(gallery, ids, probes, np.array([7, 9, 8, 1]))


def test_rank_one_in_blocks_is_the_whole():
    draw = np.random.default_rng(1)
    gallery, probes = draw.normal(size=(20, 4)), draw.normal(size=(9000, 4))
    ids, wanted = np.arange(20), draw.integers(20, size=9000)
    unit = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    assert rank_one(gallery, ids, probes, wanted) == np.mean((probes @ unit.T).argmax(1) == wanted)


def test_templates_are_means_over_media_first():
    features = np.array([[1.0, 0], [0, 1], [0, 1], [0, 1], [2, 2]])
    ids, pooled = pool_templates(features, np.array([5, 5, 5, 5, 2]), np.array([1, 2, 2, 2, 1]))
    assert ids.tolist() == [2, 5]
    np.testing.assert_allclose(pooled, np.full((2, 2), 0.5**0.5))
