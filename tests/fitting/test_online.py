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
    before, solve = [], tracker.fitter.solve

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
    for cut in (False, True):
        monkeypatch.setattr(follow, "is_cut", lambda picture, cut=cut: cut)
        assert bool(tracker(pictures[2], 0.2).status & FrameStatus.CUT) == cut
    assert [previous is None for previous in before] == [False, True]


def test_looks_that_are_not_fitted_do_no_harm(model, clip, monkeypatch):
    """Where they are on two threads the fit takes the newest one; a loss or a cut in between still counts."""
    pictures, detector, truth = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=0.0, focal=400.0, settings=FAST)
    tracker(pictures[0], 0.0), tracker(pictures[1], 0.05)
    before, solve = [], tracker.fitter.solve
    monkeypatch.setattr(
        tracker.fitter, "solve", lambda s, previous, *rest: before.append(previous) or solve(s, previous, *rest)
    )
    tracker.look(pictures[2])
    found = tracker.fit(tracker.look(pictures[3]), 0.15)
    assert (found.parameters.rotation - truth.rotation[3]).norm().rad2deg() < 8
    gone = pictures[4].copy()
    gone[0, 0, 0] = 255
    tracker.look(gone)
    assert tracker.fit(tracker.look(pictures[5]), 0.25).parameters is not None
    assert [previous is None for previous in before] == [False, True]


def test_a_look_from_before_identity_was_known_is_fitted(model, clip):
    """Where they are on two threads the last frames of a source may be looked at while identity is solved."""
    pictures, detector, truth = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=0.0, focal=400.0, settings=FAST)
    first, second = tracker.look(pictures[0]), tracker.look(pictures[1])
    assert tracker.fit(first, 0.0).parameters is None and tracker.first is not None
    found = tracker.fit(second, 0.05).parameters
    assert (found.rotation - truth.rotation[1]).norm().rad2deg() < 8


def test_what_can_wait_is_looked_at_in_between(model, clip, monkeypatch):
    """Hidden parts, until one is, and the whole picture: never in the look itself, one of them after a frame."""
    pictures, detector, _ = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=0.0, focal=400.0, settings=FAST)
    tracker(pictures[0], 0.0)
    done, hides = [], {6: 0.2, 7: 0.2}
    frame = 0

    def without(seen, regions, policy, before=None):
        done.append((frame, where))
        return seen, {"mouth": hides.get(frame, 1.0)}

    monkeypatch.setattr("fitting.tracking.online.without_hidden", without)
    monkeypatch.setattr(detector, "detect", lambda p, d=detector.detect: done.append((frame, where)) or d(p))
    monkeypatch.setattr(detector, "refine", lambda p, *_: Face(detector.points[p[0, 0, 0]], detector.scheme, 1.0))
    for frame in range(1, 12):
        tracker._follower.state.since_look = 100 if frame == 3 else 0
        where = "look"
        tracker.fit(tracker.look(pictures[frame]), frame / 20)
        where = "between"
        tracker.look_around()
    assert done[:2] == [(1, "look"), (3, "between")]  # a shot's first frame; the whole picture
    assert done[2:] == [(5, "between"), (9, "between")]  # each fourth
    hides[10], done[:] = 0.2, []
    tracker._unlooked = 100
    frame, where = 10, "between"
    tracker.look_around()
    where = "look"
    tracker.look(pictures[11])
    assert done == [(10, "between"), (10, "look")]  # hidden: every frame, before it's fitted


def test_collecting_is_bounded(model, clip):
    pictures, detector, _ = clip
    tracker = OnlineTracker(model, detector, SIZE, SIZE, collect=100.0, settings=FAST)
    for k in range(60):
        tracker(pictures[k % FRAMES], k / 30)
        assert len(tracker._collected) <= 4 * tracker.faces
