"""Brows: their heights count beside the corners of the eyes, from where they rest on a person."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facemodel.landmark_schemes import SCHEMES
from facemodel.parameters import FaceParameters
from fitting.energy.landmark_points import landmark_points
from fitting.energy.landmarks import landmarks
from fitting.energy.pairs import across_eyes, strengths
from fitting.landmarks.base import Face
from fitting.observation.crop import Observation, observe
from fitting.policy.settings import Settings
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import brow_heights
from renderer import Camera, project, to_camera

SCHEME, WIDTH, HEIGHT = "mediapipe478", 480, 360
UNMOVED = Settings(levels=())
GROWN = (2.0, 5.0)  # px outwards and up: where brows grow on this person, beyond the model


def person(model, shapes, rolls):
    """Landmarks (F, L, 2) px of frames with these activations and rolls, brows grown as ``GROWN`` says."""
    p = FaceParameters.neutral(model, (len(rolls),), focal=500.0, distance=700.0)
    expression = p.expression.clone()
    for name, values in shapes.items():
        expression[:, model.expression_index(name)] = torch.tensor(values)
    rotation = torch.stack([torch.zeros(len(rolls)), torch.zeros(len(rolls)), torch.tensor(rolls)], -1)
    p = p.replace(expression=expression, rotation=rotation)
    camera = Camera(500.0, WIDTH, HEIGHT)
    points = project(
        to_camera(model.landmarks(model.vertices(p.identity, p.expression), SCHEME), p.rotation, p.translation), camera
    ).double()
    inner, outer = (torch.tensor(c) for c in zip(*((b, a) for a, b in SCHEMES[SCHEME].eye_corners)))
    between = points[:, [inner[0], outer[0]]].mean(1) - points[:, [inner[1], outer[1]]].mean(1)
    across = between / between.norm(dim=-1, keepdim=True)
    up = torch.stack([across[:, 1], -across[:, 0]], -1)
    for brow, corner in landmark_points(model, SCHEME).on_brows.tolist():
        outwards = across if corner in SCHEMES[SCHEME].eye_corners[0] else -across
        points[:, brow] += GROWN[0] * outwards + GROWN[1] * up
    return p, points.numpy()


def looked_at(points):
    picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    return [observe(picture, Face(p, SCHEME, 1.0), (64,)) for p in points]


@pytest.fixture(scope="module")
def resting(model):
    """A fitter, and the state of three frames at rest that knows where the brows grow."""
    p, points = person(model, {}, [0.0, 0.2, -0.2])
    fitter, seen = Fitter(model, SCHEME, 500.0, 500.0, UNMOVED), Observation.concatenate(looked_at(points))
    state = fitter.start(seen)
    state = replace(state, translation=p.translation.expand_as(state.translation).contiguous())
    return fitter, seen, replace(state, brows=brow_heights(fitter, state, seen))


def test_pairs_weigh_as_asked(model):
    marks, weights = landmark_points(model, SCHEME), UNMOVED.weights
    shares = strengths(weights, marks)
    assert shares[-len(marks.on_brows) :].sum() == pytest.approx(weights.brows)
    assert shares.sum() == pytest.approx(weights.brows + weights.pairs)


def test_resting_brows_leave_no_residual_however_the_head_is_rolled(resting):
    fitter, seen, state = resting

    def largest(s):
        terms, _ = landmarks(fitter.landmarks(s), s, seen, UNMOVED.weights, fitter.layout, shared=False)
        return float(terms.value[:, -2 * len(fitter.marks.on_brows) :].abs().max())

    assert largest(replace(state, brows=torch.zeros_like(state.brows))) > 0.02
    assert largest(state) < 0.004


def test_the_line_between_the_eyes_turns_with_the_picture(resting):
    fitter, seen, _ = resting
    up = across_eyes(seen, fitter.marks)
    turned = (-up[:, 0]).atan2(-up[:, 1])
    torch.testing.assert_close(turned, torch.tensor([0.0, 0.2, -0.2]), atol=0.01, rtol=0)


def test_brows_that_grow_higher_than_on_the_model_have_positive_heights(resting):
    fitter, _, state = resting
    assert (state.brows > 0.01).all() and len(state.brows) == len(fitter.marks.on_brows)


def test_brows_are_followed_and_rest_where_they_rest(model, resting):
    """A raised brow is found as such; the person's high brows aren't taken for raised ones."""
    _, points = person(model, {"browOuterUpLeft": [0.0, 0.5], "browInnerUp": [0.0, 0.5]}, [0.0, 0.0])
    names = ("browOuterUpLeft", "browInnerUp", "browOuterUpRight")
    columns = [model.expression_index(n) for n in names]
    found = {}
    for brows in (UNMOVED.weights.brows, 0.0):
        fitter = Fitter(model, SCHEME, 500.0, 500.0, Settings(levels=(), weights=replace(UNMOVED.weights, brows=brows)))
        with torch.inference_mode():
            found[brows] = torch.stack(
                [
                    fitter.track(o, None, fitter.start(o, resting[2])).state.expression[0, columns]
                    for o in looked_at(points)
                ]
            )
    moved = {k: v[1] - v[0] for k, v in found.items()}
    ours, without = moved[UNMOVED.weights.brows], moved[0.0]
    assert (ours[:2] > 0.3).all() and float(ours[2]) < 0.1
    assert (ours[:2] > without[:2]).all()
    assert (found[UNMOVED.weights.brows][0] < 0.15).all()
