"""What is beside a head: the similarity of its points, and its outline."""

from __future__ import annotations

import numpy as np
import pytest

from neural_render.methods.face2face.outlines import Outlines, similarity


def test_the_similarity_is_that_which_moved_the_points():
    points = np.random.default_rng(0).uniform(0, 100, (20, 2)).astype(np.float32)
    turn = 1.2 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    moved = points @ turn.T + [5, -7]
    found = similarity(points, moved, np.ones(20, bool))
    np.testing.assert_allclose(found, np.c_[turn, [5, -7]], atol=1e-3)


def test_what_is_beside_a_head_moves_as_its_outline():
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    circle, turn = np.c_[np.cos(angle), np.sin(angle)], 0.3
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    before, after = 50 * circle + [100, 80], circle * [35, 50] @ matrix.T + [110, 75]
    outlines = Outlines.of(np.r_[before, [[90, 90]]], np.r_[after, [[120, 60]]], turn)  # what is within doesn't matter
    beside = np.array([[[100 + 75, 80], [100, 80 + 75]]], np.float32)
    expected = np.array([[52.5, 0], [0, 75]]) @ matrix.T + [110, 75]
    np.testing.assert_allclose((outlines.motion(beside) + beside)[0], expected, atol=0.5)


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_an_outline_that_is_only_turned_turns_what_is_beside_it(turn):
    points = np.random.default_rng(0).normal(size=(500, 2)) * [30, 50] + [100, 90]
    points[:100] *= 1.2  # not the same on both sides
    place = np.random.default_rng(1).uniform(0, 200, (4, 5, 2)).astype(np.float32)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = Outlines.of(points, points @ matrix.T + [7, -3], turn).motion(place)
    np.testing.assert_allclose(place + moved, place @ matrix.T + [7, -3], atol=1e-2)


def test_an_outline_moves_as_smoothly_as_the_head(model):
    """Corners of its hull that come and go don't show."""
    points = model.mean.numpy()
    place = np.stack(np.meshgrid(np.linspace(-180, 180, 9), np.linspace(-180, 180, 9)), -1).astype(np.float32)

    def turned(yaw: float) -> np.ndarray:
        return np.c_[points[:, 0] * np.cos(yaw) + points[:, 2] * np.sin(yaw), -points[:, 1]]

    found = [Outlines.of(turned(yaw), turned(0.0), 0.0).motion(place) for yaw in np.arange(0.3, 0.34, 0.004)]
    assert np.abs(np.diff(found, axis=0)).max() < 1.0
