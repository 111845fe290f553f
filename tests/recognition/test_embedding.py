"""The pretrained embedding tells people apart."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.data import astronaut

from facemodel.landmark_schemes import IBUG68
from fitting import make_detector
from fitting.landmarks.base import Face
from fitting.landmarks.embedding import dlib_points
from fitting.tracking.people import PeoplePolicy
from foundation.errors import PortraitError
from portrait.video import VideoReader
from portrait.video.sample import carphone
from recognition.embedding import FaceEmbedding, similarity


def test_the_same_person_is_near_and_another_far():
    embedding, detector = FaceEmbedding(), make_detector()
    frames = [frame for index, _, frame in VideoReader(carphone()) if index in (0, 60)]
    one, later, other = (embedding(p, detector.detect(p)[0]) for p in (*frames, astronaut()))
    assert one.shape == (128,) and one.dtype == np.float32
    assert np.linalg.norm(one - later) < PeoplePolicy().same < np.linalg.norm(one - other)
    assert similarity(one, later) > similarity(one, other)
    assert np.array_equal(embedding(frames[0], detector.detect(frames[0])[0]), one)
    assert similarity(np.array([1.0, 0.0]), np.array([3.0, 3.0])) == pytest.approx(0.5**0.5)


def test_any_scheme_with_a_nose_base_aligns(monkeypatch):
    assert dlib_points("mediapipe478") == [263, 362, 33, 133, 2]
    assert dlib_points("ibug68") == [45, 42, 36, 39, 33]
    bare = replace(IBUG68, name="bare", nose_base=None)
    monkeypatch.setattr("fitting.landmarks.embedding.SCHEMES", {"bare": bare})
    with pytest.raises(PortraitError, match="'bare' has no nose base"):
        FaceEmbedding()(astronaut(), Face(np.zeros((68, 2)), "bare", 1.0))
