"""Tracking frame by frame against the truth of a rendered clip."""

import numpy as np
import pytest
import torch

from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus
from fitting import Settings
from fitting.landmarks.base import Face
from fitting.tracking.online import OnlineTracker
from renderer import Camera, project, render, to_camera

FAST = Settings(samples=600, levels=(64,), steps=(2,), joint_levels=(64, 128), joint_steps=(4, 5))
SIZE, FRAMES = 256, 14


class KnownLandmarks:
    """A detector that knows where the rendered landmarks are; a picture's first pixel is its number."""

    name, scheme = "known", "mediapipe478"

    def __init__(self, points):
        self.points = points

    def detect(self, picture):
        return [] if picture[0, 0, 0] == 255 else [Face(self.points[picture[0, 0, 0]], self.scheme, 1.0)]

    def refine(self, picture, centre, size):
        return next(iter(self.detect(picture)), None)


@pytest.fixture(scope="module")
def clip(model):
    """(pictures, detector, truth): a random person who turns and opens the mouth."""
    random, t = torch.Generator().manual_seed(5), torch.linspace(0, 1, FRAMES)
    truth = FaceParameters.neutral(model, (FRAMES,), focal=400.0, distance=600.0)
    expression, rotation = truth.expression.clone(), truth.rotation.clone()
    expression[:, model.expression_index("jawOpen")] = 0.6 * (6.28 * t).sin().square()
    rotation[:, 1] = 0.3 * (6.28 * t).sin()
    identity = torch.randn(truth.identity.shape[-1], generator=random) * 0.7
    truth = truth.replace(identity=identity.expand(FRAMES, -1), expression=expression, rotation=rotation)
    camera = Camera(400.0, SIZE, SIZE)
    drawn = render(model, truth, camera, maps=("diffuse",))["diffuse"]
    pictures = (drawn * 255).round().to(torch.uint8).numpy()
    pictures[:, 0, 0, 0] = np.arange(FRAMES)
    vertices = model.vertices(truth.identity, truth.expression, truth.gaze)
    marks = model.landmarks(vertices, KnownLandmarks.scheme)
    points = project(to_camera(marks, truth.rotation, truth.translation), camera).double().numpy()
    return pictures, KnownLandmarks(points), truth


def test_follows_the_truth_after_a_moment(model, clip):
    pictures, detector, truth = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=0.2, focal=400.0, settings=FAST)
    blank = np.full((SIZE, SIZE, 3), 255, np.uint8)
    assert tracker(blank, -0.1).status & FrameStatus.TRACKED == 0
    found = [tracker(picture, k / 20) for k, picture in enumerate(pictures)]
    waited = [k for k, frame in enumerate(found) if frame.parameters is None]
    assert waited == [0, 1, 2, 3, 4]  # 0.2 s at 20 frames a second, the frame that completes it included
    assert len(tracker.first.expression) == tracker.faces
    fitted = FaceParameters.stack([frame.parameters for frame in found[5:]])
    jaw = model.expression_index("jawOpen")
    assert np.corrcoef(fitted.expression[:, jaw], truth.expression[5:, jaw])[0, 1] > 0.95
    error = (fitted.rotation - truth.rotation[5:]).rad2deg()
    assert error.norm(dim=-1).max() < 8  # a few frames leave something between the head's shape and its pitch
    assert (error - error.median(0).values).norm(dim=-1).max() < 4  # it turns by 34
    assert torch.equal(fitted.identity[0], fitted.identity[-1])  # solved once
    assert all(frame.status & FrameStatus.TRACKED for frame in found)


def test_a_face_that_is_gone_comes_back(model, clip, monkeypatch):
    pictures, detector, truth = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=0.0, focal=400.0, settings=FAST)
    assert tracker(pictures[0], 0.0).parameters is None  # identity is solved over this one
    assert tracker(pictures[1], 0.1).parameters is not None
    gone = pictures[2].copy()  # no cut: the same shot, in which the detector finds nothing for once
    gone[0, 0, 0] = 255
    assert tracker(gone, 0.2).parameters is None
    before, track = [], tracker.fitter.solve

    def noted(seen, previous, *rest):
        before.append(previous)
        return solve(seen, previous, *rest)

    monkeypatch.setattr(tracker.fitter, "solve", noted)
    back = tracker(pictures[6], 0.3).parameters
    assert before == [None]  # nothing binds it to where the face was
    assert (back.rotation - truth.rotation[6]).norm().rad2deg() < 8


def test_nothing_binds_a_shot_to_the_one_before(model, clip, monkeypatch):
    pictures, detector, _ = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=0.0, focal=400.0, settings=FAST)
    tracker(pictures[0], 0.0), tracker(pictures[1], 0.1)
    before, solve, follow = [], tracker.fitter.solve, tracker._follower
    monkeypatch.setattr(
        tracker.fitter, "solve", lambda s, previous, *rest: before.append(previous) or solve(s, previous, *rest)
    )
    for cut in (FrameStatus(0), FrameStatus.CUT):
        monkeypatch.setattr(tracker, "_follower", lambda p, cut=cut: (follow(p)[0], FrameStatus.TRACKED | cut))
        tracker(pictures[2], 0.2)
    assert [previous is None for previous in before] == [False, True]


def test_collecting_is_bounded(model, clip):
    pictures, detector, _ = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=100.0, settings=FAST)
    for k in range(60):
        tracker(pictures[k % FRAMES], k / 30)
        assert len(tracker._collected) <= 4 * tracker.faces
