"""Background, morphing and the fields that extend a face's motion."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neural_render.methods.face2face.background import behind, plate
from neural_render.methods.face2face.layers import Head, Surface, filled, step
from neural_render.methods.face2face.morphing import morph
from neural_render.methods.face2face.outlines import Outlines, similarity
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


def test_a_step_is_smooth_from_zero_to_one():
    assert step(np.array([-1.0, 0.5, 3.0]), 0, 1).tolist() == [0.0, 0.5, 1.0]
