"""Clips: what is found in them is made when it's asked for, once, and methods say what they need of them."""

import numpy as np
import pytest
import torch

from fitting.landmarks.base import Face
from foundation.errors import PortraitError
from neural_render.methods.base import METHODS, Method, Needs, TrainingBudget
from neural_render.methods.clip import ActionUnits, Clip, Landmarks
from neural_render.methods.finding import detected
from tests.neural_render.conftest import FRAMES, HEIGHT, WIDTH, Frames


class Counted(Frames):
    def __len__(self) -> int:
        return len(self.frames)


def pictures(count: int = 3) -> Counted:
    return Counted(np.zeros((count, HEIGHT, WIDTH, 3), np.uint8))


def test_a_track_is_found_when_it_is_asked_for_and_once(track, clip, model):
    asked = []

    def find(which: Clip):
        asked.append(which)
        return track

    given = Clip(clip, WIDTH, HEIGHT, find_track=find, model=model)
    assert given.has("track") and given.has("action_units") and not asked
    assert given.track is track and given.track is track and asked == [given]
    assert given.count == FRAMES
    given.release()
    assert given.track is track and len(asked) == 2
    kept = Clip.of_track(track, clip, model)
    kept.release()
    assert kept.track is track and (kept.width, kept.fps) == (WIDTH, pytest.approx(25))
    assert str(Clip(None, 8, 8, source={"file": "a.mp4"})) == "clip 'a.mp4'"


def test_without_anything_that_finds_it_a_track_is_refused(track):
    alone = Clip(pictures(), WIDTH, HEIGHT, person="ada")
    assert not any(alone.has(what) for what in ("track", "landmarks", "action_units"))
    with pytest.raises(PortraitError, match="clip 'ada': expected a track"):
        alone.action_units  # noqa: B018
    with pytest.raises(PortraitError, match="expected landmarks in its track"):
        Clip.of_track(track).landmarks  # noqa: B018


def test_action_units_are_the_tracks_expressions(track, model):
    units = Clip.of_track(track, model=model).action_units
    jaw = track.parameters.expression[:, model.arkit["jawOpen"]].numpy()
    assert len(units.names) == 25 and units.values.shape == (FRAMES, 25)
    found = units.values[:, units.names.index("AU26")]
    there = track.tracked.numpy()
    np.testing.assert_allclose(found[there], 5 * jaw[there], atol=1e-6)
    assert np.isnan(units.values[~there]).all()


def test_a_blink_is_the_mean_of_both_eyes_and_whole_where_the_lids_meet(track, model):
    both = [model.arkit[name] for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    for right, shown in ((0.0, 0.0), (0.5, 0.5), (0.8, 1.0)):  # these lids meet before the shape's end
        p = track.parameters
        expression = p.expression.clone()
        expression[:, both] = torch.tensor([1.0, right])
        winking = Clip.of_track(track.with_parameters(p.replace(expression=expression)), model=model).action_units
        assert winking.values[0, winking.names.index("AU45")] == pytest.approx(5 * (1 + shown) / 2)


def test_landmarks_of_a_detector_alone():
    """A detector that finds a face in all but the second picture, and follows it."""

    class Finder:
        name, scheme = "toy", "two"
        calls: list[str] = []  # noqa: RUF012

        def detect(self, picture):
            self.calls.append("detect")
            return [] if picture[0, 0, 0] == 1 else [self.face(10.0), self.face(99.0)]

        def refine(self, picture, centre, size):
            self.calls.append("refine")
            return None if picture[0, 0, 0] == 1 else self.face(centre[0] + 1)

        @staticmethod
        def face(x):
            return Face(np.array([[x - 2, 5], [x + 2, 9]]), "two", 1.0)

        def close(self):
            raise AssertionError("a caller's own stays open")

    frames = pictures(4)
    frames.frames[1] = 1
    finder = Finder()
    found = Clip(frames, WIDTH, HEIGHT, find_landmarks=detected(finder)).landmarks
    assert found.scheme == "two" and found.points.shape == (4, 2, 2)
    assert np.isnan(found.points[1]).all()
    assert found.points[[0, 2, 3], 0, 0].tolist() == [8, 8, 9]
    assert finder.calls == ["detect", "refine", "detect", "detect", "refine"]
    with pytest.raises(PortraitError, match="expected a face in at least one frame"):
        Clip(Frames(np.ones((2, 4, 4, 3), np.uint8)), 4, 4, find_landmarks=detected(finder)).landmarks  # noqa: B018
    finder.scheme = "ibug68"
    none = Clip(Frames(np.ones((2, 4, 4, 3), np.uint8)), 4, 4, find_landmarks=detected(finder, needed=False)).landmarks
    assert none.points.shape == (2, 68, 2) and np.isnan(none.points).all()


def test_needs_are_checked_before_anything_is_found():
    photo = Clip(pictures(1), WIDTH, HEIGHT, person="ada")
    Needs().check([photo], "target")
    Needs(several=True).check([photo, photo], "training")
    known = Clip(
        pictures(), WIDTH, HEIGHT, find_landmarks=lambda _: Landmarks("two", np.zeros((3, 2, 2))),
        find_action_units=lambda _: ActionUnits(("AU01",), np.zeros((3, 1))),
    )  # fmt: skip
    Needs(landmarks=True, action_units=True, frames=3).check([known], "driver")
    for needs, clips, reason in [
        (Needs(), [], "target: expected one clip, got 0"),
        (Needs(), [photo, photo], "target: expected one clip, got 2"),
        (Needs(track=True), [photo], "target: expected the face model of clip 'ada'"),
        (Needs(track=True), [Clip(pictures(1), 8, 8, model=object())], "target: expected track of clip"),
        (Needs(landmarks=True), [photo], "expected landmarks"),
        (Needs(action_units=True), [photo], "expected action units"),
        (Needs(frames=8), [photo], "at least 8 frames, clip 'ada' has 1"),
        (Needs(), [Clip(None, 8, 8)], "expected the pictures"),
    ]:
        with pytest.raises(PortraitError, match=reason):
            needs.check(clips, "target")


@pytest.mark.parametrize("values", [{"minutes": 0}, {"minutes": float("nan")}, {"steps": 0}, {"batch": -1}])
def test_budgets_that_cannot_be(values):
    with pytest.raises(PortraitError, match=next(iter(values))):
        TrainingBudget(**values)


def test_a_method_that_is_never_trained():
    """As Face2Face would be: a photograph moved by a track, without weights."""

    class Plain(Method):
        name, title = "plain", "Plain"
        target, driver = Needs(), Needs(pictures=False, action_units=True)

        def animate(self, weights, target, driver, *, device="cpu"):
            assert weights is None
            (photo,) = (rgb for _, _, rgb in target.frames)
            return (photo for _ in range(len(driver.action_units.values)))

    METHODS.add(Plain.name, Plain)
    try:
        method = METHODS["plain"]()
        assert method.training is None and not method.can("train")
        units = ActionUnits(("AU01",), np.zeros((5, 1), np.float32))
        driver = Clip(None, 8, 8, find_action_units=lambda _: units)
        assert len(list(method.animate(None, Clip(pictures(1), WIDTH, HEIGHT), driver))) == 5
        with pytest.raises(PortraitError, match="isn't trained"):
            method.train([driver], "w", method.options())
    finally:
        METHODS.remove("plain")
