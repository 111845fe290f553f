"""A detector of one's own finds what it's made for, through the registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import facemodel
from facemodel import FaceParameters
from fitting.landmarks import DETECTORS, make_detector
from geometry.camera import Camera, project, to_camera
from renderer import render
from tests.extension import toy_detector, toy_model


@pytest.fixture(scope="module", autouse=True)
def registered():
    toy_model.register()
    toy_detector.register()
    yield
    toy_detector.unregister()
    toy_model.unregister()


def test_dots_on_a_drawing_are_found_where_they_are():
    model, camera = facemodel.load("toy"), Camera(600.0, 320, 240)
    p = FaceParameters.neutral(model, distance=700.0).replace(
        rotation=torch.tensor([0.1, 0.25, 0.05]), joints=torch.tensor([0.3])
    )
    picture = (render(model, p, camera, ["diffuse"])["diffuse"][0] * 255).round().byte().numpy()
    vertices = model.vertices(p.identity, p.expression, p.gaze, p.joints)
    marks = project(to_camera(model.landmarks(vertices, "toy20"), p.rotation, p.translation), camera).numpy()
    detector = make_detector(toy_detector.NAME, "cpu")
    assert detector.detect(picture) == []
    (face,) = detector.detect(toy_detector.draw_dots(picture, marks))
    assert face.scheme == "toy20" and np.abs(face.points - marks).max() < 0.6
    assert toy_detector.NAME in DETECTORS
    detector.close()
