"""What lowers a frame's confidence, and the words for it."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facemodel.track import FrameStatus
from fitting.energy.visibility import in_picture
from fitting.landmarks.base import UPSIDE_DOWN, Face
from fitting.observation.crop import cut_out, observe
from fitting.policy.confidence import Calibration, ConfidencePolicy
from fitting.policy.settings import Visibility
from fitting.tracking.confidence import (
    FIGURES,
    confidence,
    doubts,
    face_brightness,
    figures,
    losses,
)
from fitting.tracking.frame import Fitter

GOOD = {
    "landmarks": 0.0, "photometric": 5.0, "correlation": 1.0, "brightness": 120.0,
    "visible": 1.0, "converged": 1.0, "detector": 1.0,
}  # fmt: skip
WORST = {"landmarks": 0.3, "correlation": 0.0}


def test_a_perfect_frame():
    assert confidence(GOOD) > 0.9
    assert doubts(GOOD) == []
    assert figures(GOOD) == (0,) * len(FIGURES) == figures({})


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_counts_for_a_frame(name):
    """Each is worse the larger it is, so that none may raise the confidence."""
    assert getattr(Calibration(), name) <= 0


def test_a_bad_frame_is_uncertain_and_says_why():
    bad = GOOD | WORST
    assert confidence(bad) < 0.05
    told = doubts(bad, FrameStatus.TRACKED | FrameStatus.UNCERTAIN)
    assert told and len(told) <= len(FIGURES)
    worst = max(losses(bad).items(), key=lambda loss: loss[1])[0]
    assert {"landmarks": "landmarks off by 30.0%", "correlation": "light and dark"}.get(worst, "") in told[0]


def test_upside_down_is_no_question_of_degree():
    assert confidence(GOOD | {"detector": UPSIDE_DOWN}) == 0
    assert "upside down" in doubts(GOOD | {"detector": UPSIDE_DOWN})[0]


def test_an_uncertain_frame_has_a_reason():
    slight = {**GOOD, "landmarks": 0.001}
    assert doubts(slight) == []
    assert len(doubts(slight, FrameStatus.TRACKED | FrameStatus.UNCERTAIN)) == 1


def test_status_has_its_words():
    assert doubts({}, FrameStatus.NO_FACE) == ["no face was found: the parameters are interpolated"]
    assert doubts({}, FrameStatus.CUT) == ["no face was found: the parameters are interpolated"]
    several = doubts(GOOD, FrameStatus.TRACKED | FrameStatus.SEVERAL_FACES)
    assert len(several) == 1 and several[0].startswith("several faces")


@given(st.fixed_dictionaries({}, optional={name: st.floats() for name in GOOD}), st.floats(0, 300))
def test_it_lies_within_0_and_1_and_a_larger_error_never_raises_it(energies, more):
    value = confidence(energies)
    assert 0 <= value <= 1
    if np.isfinite(energies.get("landmarks", 0.0)):
        assert confidence(energies | {"landmarks": energies.get("landmarks", 0.0) + more}) <= value


def test_brightness_is_the_mean_at_the_landmarks():
    """A face half of 40, half of 80 before a white wall; landmarks that weren't found don't count."""
    picture = np.full((200, 200, 3), 255, np.uint8)
    picture[50:150, 50:100], picture[50:150, 100:150] = 40, 80
    points = np.array([[70.0, 80], [70, 120], [130, 80], [130, 120]])
    seen = cut_out(picture, Face(points, "ibug68", 1.0), 128).observe((64, 128))
    assert face_brightness(seen) == pytest.approx(60, abs=0.5)
    lost = torch.cat([seen.landmarks, torch.full((1, 1, 2), torch.nan)], 1)
    assert face_brightness(type(seen)(**{**vars(seen), "landmarks": lost})) == pytest.approx(60, abs=0.5)


def test_only_what_lies_in_the_picture_counts():
    picture = np.full((100, 80, 3), 90, np.uint8)
    seen = cut_out(picture, Face(np.array([[-20.0, 30], [20, 30], [20, 70], [-20, 70]]), "ibug68", 1.0), 64).observe(
        (64,)
    )
    where = torch.tensor([[[0.1, 0.5], [0.4, 0.5], [0.6, 0.5], [0.9, 0.5]]])  # the picture's edge is at the half
    assert in_picture(where, seen, Visibility()).tolist() == [[0, 0, 1, 1]]


@pytest.fixture(scope="module")
def fitted(model, clip):
    """Figures of a frame's fit, its picture changed by a function."""
    _, pictures, landmarks = clip
    fitter = Fitter(model, "mediapipe478", 400.0, 400.0)

    def measure(change):
        picture = change(np.asarray(pictures[0]))
        points = np.asarray(landmarks[0], np.float64)
        seen = dataclasses.replace(observe(picture, Face(points, "mediapipe478", 1.0), (64, 128)), eyes=None)
        return fitter.track(seen, None, fitter.start(seen)).energies

    return measure


def test_figures_do_not_depend_on_exposure_or_colour(fitted):
    as_it_is = fitted(lambda p: p)
    dark = fitted(lambda p: np.round(p * 0.6).astype(np.uint8))
    grey = fitted(lambda p: np.repeat(p.mean(-1, keepdims=True).round().astype(np.uint8), 3, 2))
    for other in (dark, grey):
        assert other["correlation"] == pytest.approx(as_it_is["correlation"], abs=0.03)
    assert dark["photometric"] < as_it_is["photometric"]
    rng = np.random.default_rng(0)
    nothing = fitted(lambda p: rng.integers(0, 255, p.shape, np.uint8))
    assert nothing["correlation"] < 0.5 < as_it_is["correlation"]
    assert confidence(GOOD | nothing) < ConfidencePolicy().doubtful < confidence(GOOD | as_it_is)
