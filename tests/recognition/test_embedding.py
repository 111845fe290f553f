"""The pretrained embedding tells people apart."""

import numpy as np
import pytest
from skimage.data import astronaut

from fitting import make_detector
from fitting.landmarks.base import Face
from portrait.video import VideoReader
from portrait.video.sample import carphone
from recognition.embedding import SAME, FaceEmbedding, similarity


def test_the_same_person_is_near_and_another_far():
    embedding, detector = FaceEmbedding(), make_detector()
    frames = [frame for index, _, frame in VideoReader(carphone()) if index in (0, 60)]
    one, later, other = (embedding(p, detector.detect(p)[0]) for p in (*frames, astronaut()))
    assert one.shape == (128,) and one.dtype == np.float32
    assert np.linalg.norm(one - later) < SAME < np.linalg.norm(one - other)
    assert similarity(one, later) > similarity(one, other)
    assert np.array_equal(embedding(frames[0], detector.detect(frames[0])[0]), one)
    assert similarity(np.array([1.0, 0.0]), np.array([3.0, 3.0])) == pytest.approx(0.5**0.5)


def test_other_landmarks_are_refused():
    with pytest.raises(ValueError, match="mediapipe478 or ibug68"):
        FaceEmbedding()(astronaut(), Face(np.zeros((5, 2)), "five", 1.0))
