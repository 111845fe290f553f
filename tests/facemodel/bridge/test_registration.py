"""The default model registered to a head in another mesh that says nothing of landmarks."""

import facemodel
from facemodel.bridge.registration import register
from tests.facemodel.bridge.heads import assert_found, other_head


def test_without_landmarks_the_face_is_found_less_exactly():
    """To 1.5 mm, both ways; with landmarks, see ``test_carrying``."""
    default, (model, truth) = facemodel.load(), other_head(landmarks=False)
    assert_found(register(default, model), model, truth, 1.5)
