"""The first estimate from landmarks, of faces as small as there are."""

import numpy as np
import pytest

from fitting.landmarks.base import Face
from fitting.observation.crop import cut_out
from fitting.tracking.frame import Fitter


@pytest.mark.parametrize("focal", [400.0, 4600.0, 50000.0])
def test_a_face_of_20_px_is_placed_whatever_its_angle(model, focal):
    """The closed form refuses faces that fill too small an angle."""
    fitter = Fitter(model, "mediapipe478", focal, focal)
    usual = fitter.marks.gather(model.vertices(fitter.identities.mean))
    points, depth = usual.double().numpy() * [1, -1, -1], focal * 150 / 20
    pixels = points[:, :2] / (points[:, 2:] + depth) * focal + [960, 540]
    face = Face(pixels, "mediapipe478", 1.0)
    state = fitter.start(cut_out(np.zeros((1080, 1920, 3), np.uint8), face, 64).observe((64,)))
    assert float(state.translation[0, 2]) == pytest.approx(depth, rel=0.01)
    assert np.allclose(state.rotation[0].numpy(), np.eye(3), atol=0.01)
