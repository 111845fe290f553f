"""Measures of landmarks and boundaries, on made-up ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.claims import reenactgan
from benchmarks.claims.landmarks import crossings, error, shape_error
from benchmarks.claims.reenactgan import spread_of
from neural_render.corpus import Faces, gather
from neural_render.methods.base import METHODS
from neural_render.methods.common.contours import Contours
from tests.neural_render.methods.landmarked import people


def test_a_shape_is_the_same_anywhere_turned_and_of_any_size():
    g = torch.Generator().manual_seed(0)
    true = torch.randn(3, 9, 2, generator=g)
    c, s = np.cos(0.4), np.sin(0.4)
    moved = 2 * true @ torch.tensor([[c, s], [-s, c]], dtype=torch.float32) + torch.tensor([0.5, -1])
    assert shape_error(moved, true) == pytest.approx(0, abs=1e-6) and error(moved, true) > 0.5
    assert error(true + torch.tensor([3.0, 4.0]), true) == pytest.approx(5)
    mirrored = true * torch.tensor([-1.0, 1.0])
    assert shape_error(mirrored, true) > 0.3
    wide = true * torch.tensor([1.1, 1.0])
    assert 0.01 < shape_error(wide, true) < error(wide, true) < 0.11


def faces() -> Faces:
    """Three people; two of them in performances 0 and 1, the third in 0 alone; of three frames each."""
    person, performance = np.repeat([0, 0, 1, 1, 2], 3), np.repeat([0, 1, 0, 1, 0], 3)
    clip, frame = np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5)
    return Faces("", 8, tuple("abc"), person, clip, performance, frame, np.ones(5), np.zeros((15, 4, 2)), "drawn")


def test_a_crossing_is_another_person_doing_the_same_known_from_another_clip():
    table, found = faces(), list(crossings(faces()))
    assert len(found) == 5
    for driver, true, target in found:
        assert (table.person[driver] != table.person[true]).all()
        assert (table.performance[driver] == table.performance[true]).all()
        assert (table.frame[driver] == table.frame[true]).all()
        assert (table.person[target] == table.person[true[0]]).all() and (
            table.clip[target] != table.clip[true[0]]
        ).all()


def test_variances_between_moments_and_between_people():
    person, moment = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    codes = np.stack([3.0 * moment, 1.0 * person, 0 * person], 1)
    assert spread_of(codes, person, moment) == pytest.approx(9 * np.arange(5).var() / np.arange(4).var())


def test_people_who_were_adapted_to_are_asked_for_what_they_werent_shown_doing(tmp_path, monkeypatch):
    """Of three people the second is adapted to, in the first of two performances, by networks that know nothing."""
    method, clips = METHODS["reenactgan"](), people(3)
    small = dict(steps=1, batch=2, size=64, width=4)
    method.train(clips, tmp_path / "weights" / "weights.safetensors", method.options(**small))
    weights = method.load(tmp_path / "weights" / "weights.safetensors")
    method.adapt(weights, clips[2:3], tmp_path / "one" / "weights.safetensors", method.options(steps=1, batch=2))
    faces, asked = gather(clips, tmp_path / "faces", 64), []
    of_target = reenactgan.of_target
    monkeypatch.setattr(reenactgan, "of_target", lambda w, f, rows: (asked.extend(rows), of_target(w, f, rows))[1])
    found = reenactgan.claims(faces, clips, tmp_path)
    assert set(faces.person[asked]) == {1} and set(faces.performance[asked]) == {1} and len(asked) == 6
    assert len(found) == 6 and all(np.isfinite(value) for value in found.values())


def test_boundaries_are_compared_by_their_points(tmp_path, monkeypatch):
    """A transformer that knows the answer but for a little, and its aligner, which is given points for maps."""
    clips = people(3)
    faces = gather(clips, tmp_path, 64)
    scheme = faces.scheme
    points = torch.from_numpy(Contours.of(scheme).pick(faces.landmarks))
    asked = np.flatnonzero((faces.person == 1) & (faces.performance == faces.performance.max()))

    def boundaries(weights, f, rows):
        true = f.counterpart(rows, 1)
        wanted = points[np.where(true < 0, rows, true)] + 1e-4 * torch.randn(len(rows), points.shape[1], 2)
        return points[rows], wanted

    monkeypatch.setattr(reenactgan, "boundaries", boundaries)
    monkeypatch.setattr(
        reenactgan, "Transfer", SimpleNamespace(of=lambda weights: SimpleNamespace(aligner=lambda maps: maps))
    )
    found = reenactgan.of_target(SimpleNamespace(header=SimpleNamespace(scheme=scheme)), faces, asked)
    assert found["boundary_error"] < 0.05 and found["boundary_error_in_place"] < 0.05
    assert found["expression_over_identity"] > 10 * found["expression_over_identity_of_the_encoder"]
    assert found["expression_over_identity_of_the_encoder"] == pytest.approx(1)
