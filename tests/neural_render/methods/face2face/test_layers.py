"""Background, morphing and the fields that extend a face's motion."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neural_render.methods.face2face.background import behind, plate
from neural_render.methods.face2face.layers import Head, Outlines, Surface, filled, similarity, step
from neural_render.methods.face2face.morphing import morph
from neural_render.methods.face2face.painting import textured
from neural_render.methods.face2face.settings import POLICY


@pytest.fixture
def wall():
    """(96, 128, 3) uint8, smooth."""
    rows, columns = np.mgrid[:96, :128]
    return np.stack([2 * rows, columns, 100 + 0 * rows], -1).astype(np.uint8)


def standing(wall: np.ndarray, left: int) -> tuple[np.ndarray, np.ndarray]:
    """A red person before the wall, and where."""
    person = np.zeros(wall.shape[:2], np.uint8)
    person[30:, left : left + 24] = 255
    return np.where(person[..., None] > 0, np.uint8([200, 0, 0]), wall), person


def test_the_wall_is_found_behind_who_moves(wall):
    pictures, people = zip(*(standing(wall, left) for left in (10, 50, 90)))
    found = plate(pictures, people, 3)
    assert np.abs(found.astype(int) - wall).max() <= 1
    bare = behind(pictures[1], people[1], found, 3)
    assert np.abs(bare.astype(int) - wall).max() <= 2
    darker, _ = standing((0.6 * wall).astype(np.uint8), 50)
    bare = behind(darker, people[1], found, 3)
    assert np.abs(bare - 0.6 * wall).mean() < 4  # as dark as the rest of its own picture


def test_halfway_of_a_morph_is_halfway_in_place(wall):
    old, _ = standing(wall, 50)
    new, _ = standing(wall, 58)
    half, _ = standing(wall, 54)
    faded = (old.astype(float) + new) / 2
    made = morph(old, new, 0.5).astype(float)
    assert np.abs(made - half).mean() < 0.6 * np.abs(faded - half).mean()
    assert np.abs(morph(old, old, 0.5).astype(int) - old).max() <= 1


def test_a_fill_keeps_what_is_constant_and_smooths_the_rest():
    known = np.zeros((60, 60), bool)
    known[20:40, 20:40] = True
    values = np.where(known[..., None], np.float32(3.0), np.float32(99.0))
    np.testing.assert_allclose(filled(values, known), 3.0, atol=1e-3)
    assert not filled(values, np.zeros_like(known)).any()


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


def test_a_speck_that_is_lost_on_the_way_is_nothing_to_paint():
    head = SimpleNamespace(full=lambda field: 0.5 * field, head=np.ones((4, 4)), policy=POLICY)
    head.within = lambda rim: np.ones((4, 4, 1))
    picture, missing = np.full((4, 4, 3), 9, np.uint8), np.zeros((4, 4), np.float32)
    missing[1, 1] = 1.5 * POLICY.unseen
    textured(head, picture, missing, np.zeros((8, 8, 3), np.float32))
    assert (picture == 9).all()


def test_the_further_a_head_is_turned_the_more_its_outline_leads():
    head, draw = Head.__new__(Head), np.random.default_rng(0)
    head.surface = SimpleNamespace(marks=SimpleNamespace(head=np.ones(300)))
    head.place = draw.uniform(-99, 99, (4, 5, 2)).astype(np.float32)
    before = draw.normal(size=(300, 2)) * [30, 50]
    after = before * [0.8, 1.0]
    near, half, far = (head._beside(before, after, share) for share in (0.0, 0.5, 1.0))
    similar = similarity(before, after, np.ones(300, bool))
    np.testing.assert_allclose(head.place + near, head.place @ similar[:, :2].T + similar[:, 2], atol=1e-3)
    turn = float(np.arctan2(similar[1, 0], similar[0, 0]))
    np.testing.assert_allclose(far, Outlines.of(before, after, turn).motion(head.place), atol=1e-3)
    np.testing.assert_allclose(half, (near + far) / 2, atol=1e-3)


def test_how_far_a_head_is_turned_is_told_without_its_roll():
    def at(*rotation):
        return SimpleNamespace(parameters=SimpleNamespace(rotation=torch.tensor(rotation)))

    assert Surface.angle(at(0.0, 0.3, 0.0), at(0.0, -0.1, 0.0)) == pytest.approx(0.4, abs=1e-3)
    assert Surface.angle(at(0.0, 0.0, 0.5), at(0.0, 0.0, 0.0)) == pytest.approx(0.0, abs=1e-3)


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


def test_a_step_is_smooth_from_zero_to_one():
    assert step(np.array([-1.0, 0.5, 3.0]), 0, 1).tolist() == [0.0, 0.5, 1.0]
