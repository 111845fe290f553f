"""The first estimate from landmarks, of faces as small as there are."""

import numpy as np
import pytest

from fitting.energy.samples import landmark_samples
from fitting.landmarks.base import Face
from fitting.observation.crop import cut_out
from fitting.tracking.start import initial_state


@pytest.mark.parametrize("focal", [400.0, 4600.0, 50000.0])
def test_a_face_of_20_px_is_placed_whatever_its_angle(model, focal):
    """The closed form refuses faces that fill too small an angle."""
    marks = landmark_samples(model, "mediapipe478")
    points, depth = marks.mean.double().numpy() * [1, -1, -1], focal * 150 / 20
    pixels = points[:, :2] / (points[:, 2:] + depth) * focal + [960, 540]
    face = Face(pixels, "mediapipe478", 1.0)
    seen = cut_out(np.zeros((1080, 1920, 3), np.uint8), face, 64).observe((64,))
    state = initial_state(marks, marks.mean, seen, focal, (1, 1, 1))
    assert float(state.translation[0, 2]) == pytest.approx(depth, rel=0.01)
    assert np.allclose(state.rotation[0].numpy(), np.eye(3), atol=0.01)
