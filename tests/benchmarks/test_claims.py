"""The measures behind papers' claims, on codes and pictures whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.claims import invariant_motion
from benchmarks.claims.codes import GALLERY, probe, retrieval
from benchmarks.claims.ganimation import background
from benchmarks.claims.unit_reader import UnitReader, correlations
from neural_render.corpus import gather
from tests.neural_render.methods.drawn import people


def everybody(count: int = 5, moments: int = 50) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(count), moments), np.tile(np.arange(moments), count)


def test_a_moment_is_found_by_codes_that_hold_it_alone():
    person, moment = everybody()
    draw = np.random.default_rng(0)
    done, who = draw.normal(size=(50, 8)), draw.normal(size=(5, 8))
    assert retrieval(done[moment], person, moment) == 1.0
    chance = retrieval(draw.normal(size=(250, 8)), person, moment)
    assert chance < 3 / GALLERY
    assert chance < retrieval(done[moment] + 2 * who[person], person, moment) < 1
    assert np.isnan(retrieval(done[moment], np.arange(250), moment))


def test_a_probe_finds_what_is_linear_and_nothing_else():
    person, moment = everybody()
    draw = np.random.default_rng(1)
    who, trained = draw.normal(size=(5, 8)), moment % 2 == 0
    assert probe(who[person] + 0.1 * draw.normal(size=(250, 8)), person, trained) == 1.0
    assert probe(draw.normal(size=(250, 8)), person, trained) < 0.4


def test_correlations_are_numpys():
    draw = np.random.default_rng(2)
    a, b = draw.normal(size=(2, 30, 3))
    b[:, 2] = 4
    expected = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(correlations(a, b), [*expected, 0])


def test_the_background_is_beyond_the_face():
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], np.float32)
    outside = background(corners, 64)
    assert outside[:13].all() and not outside[20:44, 20:44].any()
    assert outside.mean() == pytest.approx(1 - (1.15 / 2) ** 2, abs=0.03)


def test_units_are_read_from_pictures(tmp_path):
    """Brows that rise and mouths that open, of people whom the reader hasn't seen."""
    faces = gather(people(9, frames=8), tmp_path, 64, action_units=True)
    table = ("person", "clip", "performance", "frame", "landmarks", "units")
    known = replace(faces, **{name: getattr(faces, name)[faces.person < 8] for name in table})
    reader, unseen = UnitReader.fitted(known, steps=60), np.flatnonzero(faces.person == 8)
    found = reader(faces.pictures(unseen), faces.landmarks[unseen])
    assert correlations(found, faces.units[unseen]).min() > 0.8


def test_what_rests_is_as_before_and_so_is_what_is_around_it():
    pictures = np.full((3, 16, 16, 3), 100, np.uint8)
    pictures[1, 4, 4] = 160  # there and back
    assert invariant_motion.change(pictures)[:, 4, 4].tolist() == [60, 60]
    rest = invariant_motion.resting(pictures)
    assert rest.shape == (2, 16, 16) and (~rest[0]).sum() == 25 and not rest[0, 2:7, 2:7].any()
    assert invariant_motion.resting(pictures[:1].repeat(2, 0)).all()
