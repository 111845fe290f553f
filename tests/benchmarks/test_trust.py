"""The benchmark of confidence: whom it compares with whom, and by what."""

import numpy as np
import pytest
import torch

from benchmarks.trust import (
    GREY,
    LUMINANCE,
    OFF,
    SKINS,
    TURNED,
    Case,
    as_taken,
    at_equal_error,
    choose,
    error_class,
    of_skin,
    ratio,
    report,
)
from fitting.policy.confidence import ConfidencePolicy
from fitting.tracking.confidence import FIGURES
from synthetic.chance import Chance
from synthetic.person import random_person

PERFECT = {"landmarks": 0.005, "correlation": 0.95, "visible": 1.0, "converged": 1.0, "detector": 0.9}


def case(error, correlation, skin="darker", exposure=1.0, person=0):
    energies = PERFECT | {"correlation": correlation}
    return Case(person, 0, "as it is", exposure, skin, 110.0, energies, error * OFF, error * TURNED / 2)


def test_classes_of_error_hold_good_or_bad_fits():
    errors = np.array([0.1, 0.2, 0.3, 0.9, 1.1, 2.0, 3.0, 9.0])
    classes = error_class(errors)
    assert not set(classes[errors <= 1]) & set(classes[errors > 1])
    assert (np.diff(classes) >= 0).all()


def test_shares_at_equal_error_do_not_hold_a_group_s_errors_against_it():
    """One group has many more bad fits; both are marked alike for the same error."""
    errors = np.r_[np.full(90, 0.2), np.full(10, 3.0), np.full(10, 0.2), np.full(90, 3.0)]
    groups = np.repeat(["one", "other"], 100)
    same = at_equal_error(errors > 1, errors, groups)
    assert same["one"] == pytest.approx(same["other"]) == 0.5
    worse = at_equal_error((errors > 1) | (groups == "other"), errors, groups)
    assert worse == {"one": pytest.approx(0.5), "other": pytest.approx(1.0)} and ratio(worse) == pytest.approx(2)


def test_skins_are_as_bright_as_they_should_be_and_eyes_stay(model):
    who = random_person(model, Chance(torch.Generator().manual_seed(3)))
    dark, light = (of_skin(model, who, luminance).albedo @ torch.tensor(LUMINANCE) for luminance in SKINS.values())
    assert (dark <= light + 1e-5).all() and (dark == light).float().mean() > 0.01  # eyes, teeth
    assert float(dark.median()) < GREY < float(light.median())


def test_a_stop_less_is_half_the_light():
    """Of middle grey, sRGB 118, and of white."""
    assert as_taken(np.array([[[118, 255, 0]]], np.uint8), 0.5)[0, 0].tolist() == [pytest.approx(85, abs=2), 188, 0]


def test_what_is_reported_and_chosen():
    rng = np.random.default_rng(0)
    errors = np.exp(rng.normal(0, 1, 600))
    cases = [
        case(e, float(np.clip(0.95 - 0.2 * e + rng.normal(0, 0.05), -1, 1)), skin, exposure, k % 9)
        for k, (e, skin, exposure) in enumerate(zip(errors, np.tile([*SKINS], 300), np.repeat([1.0, 0.5, 0.25], 200)))
    ]
    found = report(cases)
    assert (found["cases"], found["people"], found["real"]) == (600, 9, 0)
    assert found["auc"] > 0.9 and found["auc_landmarks"] > 0.9
    assert found["skin"]["ratio"] < 1.2 and set(found["exposure"]["uncertain"]) == {"0.25", "0.5", "1"}
    constants = choose(cases)
    assert all(getattr(constants, name) <= 0 for name in FIGURES)
    policy = ConfidencePolicy(constants)
    assert report(cases, policy)["uncertain_of_bad"] > 0.7 > report(cases, policy)["uncertain_of_good"]
