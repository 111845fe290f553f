"""Frames chosen by how far a head is turned, and what is compared between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.recognition_real import Seen, cosines
from benchmarks.turned_frames import APART, apart, by_turn, yaws
from facemodel import FaceParameters, Track
from synthetic.performance import head_turn

TURNS = (0.0, 20.0, -35.0, 5.0, -50.0)


@pytest.fixture
def track(model) -> Track:
    """A frame a turn; the fourth isn't sure."""
    p = FaceParameters.neutral(model, (len(TURNS),), distance=700.0)
    p = p.replace(
        identity=p.identity[0], reflectance=p.reflectance[0], focal=p.focal[0],
        rotation=torch.stack([head_turn(t, 10.0, 5.0) for t in TURNS]),
    )  # fmt: skip
    count = len(TURNS)
    return Track(
        model=model.name, fingerprint=model.fingerprint, width=64, height=64, parameters=p,
        times=torch.arange(count) / 25, status=torch.ones(count, dtype=torch.int64),
        confidence=torch.tensor([1, 1, 1, 0.2, 1.0]),
    )  # fmt: skip


def test_yaw_is_against_the_line_to_the_camera(track):
    np.testing.assert_allclose(yaws(track), TURNS, atol=1.5)
    aside = track.parameters.translation.clone()
    aside[:, 0] = 700.0  # 45 degrees to the right of the picture: it looks past the camera's right, to its own left
    moved = Track(**{**vars(track), "parameters": track.parameters.replace(translation=aside)})
    np.testing.assert_allclose(yaws(moved), np.array(TURNS) + 45, atol=1.5)
    assert by_turn(track).tolist() == [0, 1, 2, 4]


def test_frames_are_apart():
    assert apart(np.array([5, 6, 5 + APART, 40, 41, 80]), 3) == [5, 5 + APART, 40]


def test_cosines_are_of_turned_with_frontal_frames():
    picture = np.zeros((2, 2, 3), np.uint8)
    x, y = np.eye(2, dtype=np.float32)
    seen = lambda own, turned: Seen(0.0, picture, picture, own, turned)  # noqa: E731
    people = {"a": [[seen(x, y)], [seen(y, x)]], "b": [[seen(y, y)], [seen(y, None)]]}
    assert cosines(people, "photographs") == ({"a": [0.0], "b": [1.0]}, [1.0, 0.0])
    assert cosines(people, "frontalised") == ({"a": [1.0], "b": []}, [0.0])
    assert cosines(people, "both") == ({"a": [0.0], "b": []}, [0.0])
