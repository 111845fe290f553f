"""Gaze from the picture's own pixels, on synthetic people whose gaze is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.measures import gaze_degrees
from fitting.energy import gaze
from fitting.energy.gaze import GazeRefiner
from fitting.energy.occluder import occluder
from fitting.landmarks.base import Face
from fitting.observation.crop import observe
from fitting.policy.settings import GazeSearch, Thinning
from fitting.solver.state import FitState
from renderer import rotation_matrix
from synthetic import make_scene

OFF = torch.tensor([0.2, 0.08])  # rad


def true_state(scene):
    t = scene.truth
    return FitState(
        identity=t.identity,
        reflectance=t.reflectance,
        detail=torch.zeros(1, 3),
        log_focal=t.focal.log(),
        rotation=rotation_matrix(t.rotation),
        translation=t.translation,
        expression=t.expression,
        joints=torch.zeros(len(scene), 0),
        gaze=t.gaze,
        light=t.illumination,
        brows=torch.zeros(20),
    )


@pytest.fixture(scope="module")
def people(model):
    """Six of a few synthetic people: those whose eyes are open and who don't look away from the camera."""
    scenes = (make_scene(model, seed, 1, 384) for seed in range(40, 60))
    blink = [model.expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]
    good = [s for s in scenes if s.truth.expression[0, blink].max() < 0.2 and abs(float(s.truth.rotation[0, 1])) < 0.5]
    return good[:6]


def refined(model, scene, state, std=0.12):
    seen = observe(scene.pictures[0], Face(scene.landmarks[0], "mediapipe478", 1.0), (64,))
    vertices = model.vertices(state.identity, state.expression)
    return GazeRefiner(model, occluder(model, Thinning()), GazeSearch())(state, vertices, seen, 0.35, std)


def test_gaze_is_found_again(model, people):
    before, after = [], []
    for scene in people:
        state = true_state(scene)
        wrong = replace(state, gaze=state.gaze + OFF)
        before.append(gaze_degrees(wrong.gaze, state.gaze).mean())
        after.append(gaze_degrees(refined(model, scene, wrong), state.gaze).mean())
    assert len(people) == 6
    assert np.median(before) > 10
    assert np.median(after) < 4


def test_the_compiled_search_is_the_reference_s(model, people, monkeypatch):
    """In every reach, to a twentieth of a degree; pixels and their directions to rounding."""
    seen = []

    def both(inside, brightness, view, compiled=gaze._look_compiled):
        directions, values = compiled(inside, brightness, view)
        double = view._make(x.double() if isinstance(x, torch.Tensor) else x for x in view)
        expected = gaze.eyeball_pixels(inside, brightness, double)
        assert torch.equal(values, expected[1]) and torch.allclose(directions.double(), expected[0], atol=1e-6)
        seen.append(len(values))
        return directions, values

    monkeypatch.setattr(gaze, "_look_compiled", both)
    for scene, std in zip(people, (0.03, 0.12) * 3):
        wrong = replace(true_state(scene), gaze=true_state(scene).gaze + OFF)
        compiled = refined(model, scene, wrong, std)
        with monkeypatch.context() as patch:
            patch.setattr(gaze, "_compiled", gaze.best_gaze)
            expected = refined(model, scene, wrong, std)
        assert gaze_degrees(compiled, expected).max() < 0.05
        assert not torch.equal(compiled, wrong.gaze)
    assert min(seen) > 20


def test_sure_landmarks_keep_their_gaze(model, people):
    state = true_state(people[0])
    wrong = replace(state, gaze=state.gaze + OFF)
    moved = refined(model, people[0], wrong, std=1e-3)
    assert gaze_degrees(moved, wrong.gaze).max() < 0.5


def test_closed_eyes_and_blank_pictures_say_nothing(model, people):
    scene = people[0]
    state = true_state(scene)
    shut = state.expression.clone()
    shut[:, [model.expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]] = 1
    closed = replace(state, expression=shut)
    assert torch.equal(refined(model, scene, closed), closed.gaze)
    blank = replace(scene, pictures=[np.full_like(scene.pictures[0], 128)])
    assert gaze_degrees(refined(model, blank, state), state.gaze).max() < 0.5
    inverted = replace(scene, pictures=[255 - scene.pictures[0]])  # the white of an eye isn't its darker part
    assert gaze_degrees(refined(model, inverted, state), state.gaze).max() < 0.5
