"""The scripted performance, plots, the comparison's layout and the demo's plan for its time."""

import numpy as np
import pytest
import torch

from portrait.performance import BLINKS, Key, sample, scripted_performance
from portrait.pictures import BAR, fit_height, labelled
from portrait.reports.plots import line_plot
from portrait.services.pipeline import DEMO_MINUTES, Clock


@pytest.fixture(scope="module")
def performance(model):
    return scripted_performance(model, 30.0)


def test_it_begins_neutral_and_stays_in_range(performance):
    p = performance.parameters
    assert len(performance) == 240 and performance.fps == pytest.approx(30)
    assert not p.expression[0].any() and not p.rotation[0].any() and not p.gaze[0].any()
    assert float(p.expression.min()) == 0 and float(p.expression.max()) <= 1
    assert p.gaze.abs().max() < 0.6 and p.rotation.abs().max() < 0.35


def test_it_talks_smiles_and_blinks(performance, model):
    curve = lambda name: performance.parameters.expression[:, model.expression_index(name)]  # noqa: E731
    jaw = curve("jawOpen")[:80]
    openings = ((jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:]) & (jaw[1:-1] > 0.1)).sum()
    assert openings >= 5
    assert curve("mouthSmileLeft").max() > 0.5 and torch.equal(curve("mouthSmileLeft"), curve("mouthSmileRight"))
    closed = curve("eyeBlinkLeft") > 0.95
    assert int((closed[1:] & ~closed[:-1]).sum()) == len(BLINKS)


def test_it_turns_both_ways_and_the_lids_follow_the_eyes(performance, model):
    yaw = performance.parameters.rotation[:, 1]
    assert yaw.max() > 0.12 and yaw.min() < -0.12
    up = performance.parameters.expression[:, model.expression_index("eyeLookUpLeft")]
    assert up.max() > 0.2


def test_curves_pass_through_their_keys():
    keys = [Key(0, 0), Key(1, 2), Key(3, -1)]
    np.testing.assert_allclose(sample(keys, np.array([-1, 0, 0.5, 1, 2, 3, 9])), [0, 0, 1, 2, 0.5, -1, -1])


def test_plots_are_svg_with_gaps():
    values = np.array([0.0, 1.0, np.nan, 0.5])
    svg = line_plot(np.arange(4) / 25, {"a<b": values, "$_x^{": values + 1}, gaps=np.array([0, 0, 1, 0], bool))
    assert svg.startswith("<svg") and svg.endswith("</svg>") and "a&lt;b" in svg and "$_x^{" in svg
    assert "#cc5555" in svg and "nan" not in svg
    assert "#cc5555" not in line_plot(np.arange(4), {"one": values}, gaps=np.zeros(4, bool))
    assert "<svg" in line_plot(np.zeros(1), {"one": np.zeros(1)})


def test_panels_keep_their_shape_and_have_a_label():
    picture = np.full((144, 176, 3), 200, np.uint8)
    assert fit_height(picture, 288).shape == (288, 352, 3)
    assert labelled(picture, "target").shape == (144 + BAR, 176, 3)
    assert labelled(picture, "target")[:BAR].max() > 200


def test_the_demo_ends_in_time_on_slow_machines_too():
    for seconds, expected in ((15.0, DEMO_MINUTES - 1.5), (90.0, DEMO_MINUTES - 4.0), (900.0, 2.0)):
        assert Clock({"fit target": seconds}).left_of(DEMO_MINUTES) == pytest.approx(expected)
