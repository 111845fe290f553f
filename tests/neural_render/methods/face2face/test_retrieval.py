"""Ways through the clip."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from neural_render.methods.face2face.retrieval import (
    OWN,
    Fader,
    Shapes,
    best_way,
    blended,
    clusters,
    jumps,
    jumps_beneath,
    next_state,
)


@pytest.fixture
def costs():
    return np.random.default_rng(0).uniform(0, 1, (5, 4))


@pytest.fixture
def graph():
    return np.random.default_rng(1).uniform(0, 1, (4, 4)) * (1 - np.eye(4))


def test_the_best_way_is_the_cheapest_of_all(costs, graph):
    price = lambda way: sum(costs[t, s] for t, s in enumerate(way)) + sum(graph[a, b] for a, b in zip(way, way[1:]))  # noqa: E731
    cheapest = min(itertools.product(range(4), repeat=5), key=price)
    assert tuple(best_way(costs, graph)) == cheapest


def test_without_a_look_ahead_it_stays_where_leaving_costs_more(costs, graph):
    assert next_state(None, costs[0], graph) == costs[0].argmin()
    assert next_state(2, costs[0], graph + 10 * (1 - np.eye(4))) == 2


def test_neighbours_and_those_that_look_alike_are_near():
    looks = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 4], [5, 1, 0]], float)
    graph = jumps(np.array([3, 4, 9, 10]), looks, jump=0.6, weight=3.0, settled=0.15)
    assert graph[1, 2] == graph[2, 1] == pytest.approx(0.15)  # frames 3 and 4
    assert graph[1, 3] == pytest.approx(0.6)  # frames 3 and 9, the same but for contrast
    assert graph[1, 4] > 2  # the opposite
    assert graph[OWN, OWN] == 0 and graph[OWN, 1] == 0.6


def test_whole_frames_are_one_jump_apart_but_for_neighbours():
    graph = jumps_beneath(np.array([3, 4, 9]), 3.0, 0.15)
    assert graph[1].tolist() == pytest.approx([3.0, 0.15, 0.3, 3.0]) and graph[OWN, OWN] == 0


def test_a_cut_is_blended_and_a_step_is_not():
    fade = Fader(np.array([3, 4, 9]), 3, 1.0)
    shown = [fade(state, np.zeros(4)) for state in (1, 2, 3, 3, 3, 3)]
    assert shown[:2] == [[(1, 1.0)], [(2, 1.0)]]
    assert all(sum(share for _, share in s) == pytest.approx(1) for s in shown)
    assert shown[5] == [(3, 1.0)]
    shares = [dict(s)[3] for s in shown[2:]]
    assert shares == sorted(shares) and shares[0] < 0.5


def test_what_shows_something_else_is_not_blended():
    frames, way = np.array([3, 4, 9]), np.array([1, 1, 1, 3, 3, 3])
    costs = np.zeros((6, 4))
    both = blended(way, frames, 4, costs, 2.0)
    assert [len(shares) for shares in both] == [1, 2, 2, 2, 2, 1]
    assert all(sum(share for _, share in shares) == pytest.approx(1) for shares in both)
    costs[3:, 1] = 1.0  # half as well as is let through
    half = blended(way, frames, 4, costs, 2.0)
    assert blended(way, frames, 4, costs, np.inf) == both
    assert half[2] == both[2] and dict(half[3])[1] == pytest.approx(dict(both[3])[1] / 2)
    costs[3:, 1], costs[:3, 3] = 5.0, np.inf
    assert blended(way, frames, 4, costs, 2.0) == [[(int(state), 1.0)] for state in way]
    fade = Fader(frames, 4, 2.0)
    assert [fade(state, costs[k]) for k, state in enumerate(way)] == [[(int(state), 1.0)] for state in way]


def test_clusters_stand_for_all():
    points = np.repeat(np.eye(3) * 5, 7, axis=0) + np.random.default_rng(0).normal(0, 0.1, (21, 3))
    chosen = clusters(Shapes(points.astype(np.float32), np.zeros(21), np.zeros((21, 3))), 3)
    assert sorted(k // 7 for k in chosen) == [0, 1, 2]
