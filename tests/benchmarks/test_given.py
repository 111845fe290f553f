"""What a fit makes of a truth that it's given."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks import given
from benchmarks.given import GIVEN, Case, fitted, ratio
from fitting.landmarks.base import Face
from fitting.policy.settings import Settings
from renderer import rotation_matrix

SETTINGS = Settings(joint_levels=(64,), joint_steps=(3,))


@pytest.fixture(scope="module")
def case(model, scene):
    p = scene.truth[0]
    truth = {
        "focal": p.focal,
        "rotation": rotation_matrix(p.rotation)[None],
        "translation": p.translation[None],
        "expression": p.expression[None],
        "joints": p.joints[None],
        "gaze": p.gaze[None],
        "light": p.illumination[None],
        "reflectance": p.reflectance,
    }
    marks = scene.landmarks[0]
    wrong = marks + np.random.default_rng(0).normal(0, 6, marks.shape)
    scheme = "mediapipe478"
    errors = lambda state: (abs(state.identity - p.identity).numpy(), abs(p.identity).numpy())  # noqa: E731
    return Case(scene.pictures[0], Face(wrong, scheme, 1.0), Face(marks, scheme, 1.0), truth, errors)


@pytest.mark.parametrize("names", [n for n in GIVEN if n != "landmarks"])
def test_what_is_given_is_held(model, case, names):
    with torch.inference_mode():
        state = fitted(model, case, GIVEN[names], SETTINGS)
    known = {"focal": state.log_focal.exp()} | {n: getattr(state, n) for n in case.truth if n != "focal"}
    # What the reflectance explains of the samples' own albedo was added to it in the end.
    found, true = known.pop("reflectance"), case.truth["reflectance"]
    assert bool((found - true).norm() < 0.5 * true.norm()) == ("reflectance" in GIVEN[names])
    for name, value in known.items():
        wanted = case.truth[name]
        if not wanted.numel():
            continue
        assert torch.allclose(value, wanted, rtol=1e-4, atol=1e-5) == (name in GIVEN[names]), name
    assert not torch.equal(state.identity, torch.zeros_like(state.identity))


def test_true_landmarks_are_used(model, case):
    with torch.inference_mode():
        found, marked = (fitted(model, case, g, SETTINGS) for g in ((), ("landmarks",)))
        true = torch.as_tensor(case.truth["translation"])
        assert (marked.translation - true).norm() < (found.translation - true).norm()
        assert ratio(model, [case], GIVEN["all"], SETTINGS) < 1


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["given", "--faces", "1", "--set", "joint_levels=(64,)", "--set", "joint_steps=(2,)"]
    )
    monkeypatch.setattr(given, "GIVEN", {n: GIVEN[n] for n in ("nothing", "all")})
    given.main()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line.keys() == {"drawn"} and line["drawn"].keys() == {"nothing", "all"}
    assert line["drawn"]["all"] < line["drawn"]["nothing"]
