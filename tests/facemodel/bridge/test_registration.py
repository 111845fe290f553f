"""The default model registered to a head that says nothing of its landmarks; `test_carrying` has one that does."""

import numpy as np

import facemodel
from facemodel.bridge.alignment import similarity
from facemodel.bridge.registration import register
from tests.facemodel.bridge.heads import check_registered, other_head


def test_the_face_is_where_it_is_known_to_be_without_landmarks():
    model, truth = other_head(landmarks=False)
    check_registered(model, truth, register(facemodel.load(), model), 1.5)


def test_similarity_is_what_it_was_made_with():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scale, rotation, shift = similarity(points, 1.7 * points @ turn.T + [1, 2, 3])
    assert np.isclose(scale, 1.7) and np.allclose(rotation, turn) and np.allclose(shift, [1, 2, 3])
