"""Landmark embeddings from what a detector saw: observations that are made up, of which the truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import facemodel
from facemodel.bridge.surface import Surface
from fitting.landmarks.calibration import POLICY, Observation, calibrate, embed
from geometry.camera import Camera, project, to_camera
from geometry.mesh import vertex_normals

SCHEME = "mediapipe478"


def seen_of(model, count: int, noise: float) -> list[Observation]:
    """Pictures of people, turned, with open jaws and half-closed eyes, and where the model's landmarks are in them."""
    rng = np.random.default_rng(0)
    camera, found = Camera(POLICY.focal, POLICY.size, POLICY.size), []
    for _ in range(count):
        expression = torch.zeros(model.count("expression"))
        expression[[model.arkit[n] for n in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")]] = torch.tensor(
            rng.uniform(0, 0.6, 3)
        ).float()
        identity = torch.tensor(0.7 * rng.normal(size=model.count("identity"))).float()
        vertices = model.vertices(identity, expression)
        rotation = torch.tensor([*rng.uniform(-0.3, 0.3, 2), 0.0]).float()
        seen = to_camera(vertices, rotation, torch.tensor([0.0, 0.0, POLICY.distance]))
        flip = torch.tensor([1.0, -1.0, -1.0])
        normals = to_camera(vertex_normals(vertices, model.triangles), rotation, torch.zeros(3)) * flip
        facing = (normals * (-torch.nn.functional.normalize(seen, dim=-1) * flip)).sum(-1)
        points = project(model.landmarks(seen, SCHEME), camera).double().numpy()
        points = points + noise * rng.normal(size=points.shape)
        found.append(Observation(project(seen, camera).numpy(), seen[:, 2].numpy(), facing.numpy(), points))
    return found


def moved(model, length: float):
    """The model with its landmarks ``length`` mm away on the surface, in any direction."""
    generator = torch.Generator().manual_seed(1)
    at = model.landmarks(model.mean, SCHEME)
    aside = torch.nn.functional.normalize(torch.randn(at.shape, generator=generator), dim=-1)
    outer = ~(model.region("mouth_inside") | model.region("teeth") | model.region("tongue"))
    used = outer[model.triangles].all(1).numpy()
    near = Surface(model.mean.double().numpy(), model.triangles.numpy(), used).nearest(
        (at + length * aside).double().numpy()
    )
    tensors = model.flatten() | {
        f"landmark_triangles_{SCHEME}": torch.from_numpy(near.triangles),
        f"landmark_barycentric_{SCHEME}": torch.from_numpy(near.barycentric),
    }
    return model.rebuilt(tensors)


def test_points_are_found_again_from_a_wrong_guess():
    model = facemodel.load()
    wrong = moved(model, 2.5)
    found = embed(wrong, SCHEME, seen_of(model, 12, noise=1.0))
    truth = model.landmarks(model.mean, SCHEME)
    tied = model.embeddings[SCHEME].weights > 0.3
    at = (model.mean[model.triangles[found.triangles]] * found.barycentric[..., None]).sum(1)
    before = (wrong.landmarks(wrong.mean, SCHEME) - truth).norm(dim=-1)[tied]
    after = (at - truth).norm(dim=-1)[tied]
    assert before.median() > 1.5 and after.median() < 0.6 and after.quantile(0.9) < 1.5
    assert found.weights[tied].median() > 0.7  # a spread of about a pixel


def test_what_is_seen_elsewhere_each_time_weighs_little():
    model = facemodel.load()
    seen = seen_of(model, 8, noise=0.5)
    rng = np.random.default_rng(2)
    for o in seen:
        o.points[13] += rng.normal(size=2) * 12
    found = embed(model, SCHEME, seen)
    assert found.weights[13] < 0.2 and found.weights[14] > 0.7


def test_too_few_faces_are_said_by_none():
    class Blind:
        name, scheme = "blind", SCHEME

        def detect(self, picture):
            looked.append(1)
            assert picture.dtype == np.uint8 and picture.shape == (POLICY.size, POLICY.size, 3) and picture.std() > 10
            return []

    looked: list[int] = []
    few = replace(POLICY, people=1, yaws=(0.0,), pitches=(0.0,))
    assert calibrate(facemodel.load(), Blind(), few) is None and len(looked) == 10


@pytest.mark.slow
def test_the_default_model_s_own_landmarks_are_found_again():
    from fitting.landmarks import make_detector

    model, detector = facemodel.load(), make_detector()
    try:
        found = calibrate(model, detector)
    finally:
        detector.close()
    at = (model.mean[model.triangles[found.triangles]] * found.barycentric[..., None]).sum(1)
    inner = model.embeddings[SCHEME].weights > 0.6
    assert (at - model.landmarks(model.mean, SCHEME)).norm(dim=-1)[inner].median() < 1.2
