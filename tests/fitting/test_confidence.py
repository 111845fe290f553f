"""What lowers a frame's confidence, and the words for it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facemodel.track import FrameStatus
from fitting.landmarks.base import Face
from fitting.observation.crop import cut_out
from fitting.policy.confidence import DOUBTFUL, confidence, doubts, face_brightness, factors

GOOD = {"landmarks": 0.0, "photometric": 0.0, "brightness": 120.0, "visible": 0.9, "converged": 1.0, "detector": 1.0}
WORSE = {"landmarks": 0.05, "photometric": 40.0, "brightness": 8.0, "visible": 0.3, "converged": 0.0, "detector": 0.5}


def test_a_perfect_frame():
    assert confidence(GOOD) == 1
    assert doubts(GOOD) == []


@pytest.mark.parametrize("name", WORSE)
def test_each_figure_lowers_it_and_is_named(name):
    energies = GOOD | {name: WORSE[name]}
    assert confidence(energies) < 0.8
    words = {
        "landmarks": "landmarks off by 5.0% of the face's size",
        "photometric": "colours off by 40 of 255, in a face of 120",
        "brightness": "the face is nearly black: 8 of 255",
        "visible": "only 30% of the face is visible",
        "converged": "the solver had not come to rest",
        "detector": "the detector is sure of a face by 50% only",
    }
    assert doubts(energies) == [words[name]]


def test_the_same_error_weighs_more_in_a_dark_face():
    dark, light = ({**GOOD, "photometric": 15.0, "brightness": b} for b in (30.0, 120.0))
    assert confidence(dark) < 0.2
    assert confidence(light) > 0.75
    assert confidence({**GOOD, "photometric": 5.0, "brightness": 14.0, "landmarks": 0.025}) < DOUBTFUL


def test_the_weightiest_reason_comes_first_and_an_uncertain_frame_has_one():
    told = doubts({**GOOD, "landmarks": 0.03, "visible": 0.1})
    assert told == ["only 10% of the face is visible", "landmarks off by 3.0% of the face's size"]
    slight = {**GOOD, "landmarks": 0.01, "detector": 0.9}
    assert doubts(slight) == []
    assert doubts(slight, FrameStatus.TRACKED | FrameStatus.UNCERTAIN) == ["landmarks off by 1.0% of the face's size"]


def test_status_has_its_words():
    assert doubts({}, FrameStatus.NO_FACE) == ["no face was found: the parameters are interpolated"]
    assert doubts({}, FrameStatus.CUT) == ["no face was found: the parameters are interpolated"]
    several = doubts(GOOD, FrameStatus.TRACKED | FrameStatus.SEVERAL_FACES)
    assert len(several) == 1 and several[0].startswith("several faces")


figure = st.floats(0, 300)


@given(st.fixed_dictionaries({}, optional={name: figure for name in GOOD}), figure)
def test_it_lies_within_0_and_1_and_a_larger_error_never_raises_it(energies, more):
    value = confidence(energies)
    assert 0 <= value <= 1
    assert all(0 <= f <= 1 for f in factors(energies).values())
    for name in ("landmarks", "photometric"):
        assert confidence(energies | {name: energies.get(name, 0.0) + more}) <= value


def test_brightness_is_the_mean_at_the_landmarks():
    """A face half of 40, half of 80 before a white wall; landmarks that weren't found don't count."""
    picture = np.full((200, 200, 3), 255, np.uint8)
    picture[50:150, 50:100], picture[50:150, 100:150] = 40, 80
    points = np.array([[70.0, 80], [70, 120], [130, 80], [130, 120]])
    seen = cut_out(picture, Face(points, "ibug68", 1.0), 128).observe((64, 128))
    assert face_brightness(seen) == pytest.approx(60, abs=0.5)
    lost = torch.cat([seen.landmarks, torch.full((1, 1, 2), torch.nan)], 1)
    assert face_brightness(type(seen)(**{**vars(seen), "landmarks": lost})) == pytest.approx(60, abs=0.5)
