"""Points laid onto others; `test_carrying` has a whole head, `tests/portrait/test_bridging` one without landmarks."""

import numpy as np

from facemodel.bridge.alignment import similarity


def test_similarity_is_what_it_was_made_with():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scale, rotation, shift = similarity(points, 1.7 * points @ turn.T + [1, 2, 3])
    assert np.isclose(scale, 1.7) and np.allclose(rotation, turn) and np.allclose(shift, [1, 2, 3])
