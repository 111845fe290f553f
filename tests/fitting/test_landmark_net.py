"""The network's landmarks, against the true ones of drawn people and beside the detector's."""

import numpy as np
import pytest
import torch

import fitting
from fitting.landmarks.base import Face
from fitting.landmarks.network import NetDetector
from fitting.observation.crop import cut_out, observe
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from synthetic import make_scene
from tests.fitting.rendered import FAST


@pytest.fixture(scope="module")
def people(model):
    return [make_scene(model, seed, 1, 320) for seed in range(70, 78)]


@pytest.fixture(scope="module")
def detector():
    found = fitting.make_detector()
    yield found
    found.close()


def error(points, scene):
    """Median distance, of the face's size."""
    truth = Face(scene.landmarks[0], "mediapipe478", 1.0)
    return np.median(np.linalg.norm(points - truth.points, axis=1)) / truth.size


def test_nearer_to_the_surface_points_than_the_detector(people, detector):
    net = NetDetector(detector)
    pairs = [(detector.detect(s.pictures[0]), net.detect(s.pictures[0]), s) for s in people]
    pairs = [(a[0], b[0], s) for a, b, s in pairs if a]
    assert len(pairs) >= 6
    theirs, ours = (np.median([error(pair[k].points, pair[2]) for pair in pairs]) for k in (0, 1))
    assert ours < 0.6 * theirs
    # Its own standard deviations say about how far off it is: for a normal distribution half lie within 1.18 of them.
    off = np.concatenate([np.linalg.norm(b.points - s.landmarks[0], axis=1) / b.sigma for _, b, s in pairs])
    assert 0.6 < np.median(off) < 2.4


def test_in_a_crop_as_in_the_picture(people, detector):
    net, picture = NetDetector(detector), people[0].pictures[0]
    face = detector.detect(picture)[0]
    whole, part = net.improve(picture, face), net.in_crop(cut_out(picture, face, 256))
    assert np.linalg.norm(whole.points - part.points, axis=1).max() < 0.02 * face.size
    np.testing.assert_allclose(part.sigma, whole.sigma, rtol=0.5)


def test_no_face_stays_no_face(detector):
    net, blank = NetDetector(detector), np.full((200, 200, 3), 90, np.uint8)
    assert net.detect(blank) == []
    assert net.refine(blank, np.array([100.0, 100.0]), 80.0) is None


def test_landmarks_that_explain_the_picture_better_are_gone_on_with(model):
    scene = make_scene(model, 300, 1, 384)
    true = Face(scene.landmarks[0], "mediapipe478", 1.0)
    wrong = Face(true.points + 0.12 * true.size * np.array([1.0, -0.5]), true.scheme, 1.0)
    fitter = Fitter(model, "mediapipe478", 480.0, None, FAST)
    seen = observe(scene.pictures[0], true, FAST.joint_levels)
    with torch.inference_mode():
        sources = [solve_shared(fitter, pair).source for pair in ([seen, seen.with_landmarks([wrong])],
                                                                  [seen.with_landmarks([wrong]), seen])]  # fmt: skip
    assert sources == [0, 1]


def test_sure_landmarks_count_more(people):
    points = people[0].landmarks[0]
    size = Face(points, "mediapipe478", 1.0).size
    sigma = np.full(len(points), 0.01 * size)
    sigma[7] = 0.1 * size
    seen = observe(people[0].pictures[0], Face(points, "mediapipe478", 1.0, sigma), (64,))
    assert seen.reliability.shape == (1, 478)
    assert seen.reliability[0, 7] == pytest.approx(0.02) and seen.reliability[0, 8] == pytest.approx(1.0, rel=1e-5)
    assert observe(people[0].pictures[0], Face(points, "mediapipe478", 1.0), (64,)).reliability is None
