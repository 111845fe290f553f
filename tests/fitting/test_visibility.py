"""Which surface points are seen: against a ray cast at each of them."""

import numpy as np
import pytest
import torch

from fitting.energy.landmark_points import landmark_points
from fitting.energy.occluder import occluder
from fitting.energy.samples import surface_samples
from fitting.energy.surface import model_surface
from fitting.energy.visibility import visible_samples
from fitting.observation.crop import Observation
from fitting.policy.settings import Thinning, Visibility
from fitting.solver.state import FitState
from geometry.rotation import rotation_matrix

SAMPLES = 400


def turned(model, yaw_degrees):
    angle = torch.tensor([[0.0, np.radians(yaw_degrees), 0.0]], dtype=torch.float32)
    return FitState(
        identity=torch.zeros(model.count("identity")),
        reflectance=torch.zeros(model.count("reflectance")),
        detail=torch.zeros(SAMPLES, 3),
        log_focal=torch.tensor(800.0).log(),
        rotation=rotation_matrix(angle),
        translation=torch.tensor([[0.0, 0.0, 700.0]]),
        expression=torch.zeros(1, model.count("expression")),
        joints=torch.zeros(1, 0),
        gaze=torch.zeros(1, 2, 2),
        light=torch.ones(1, 9, 3),
        brows=torch.zeros(20),
    )


def visible(model, state, most=8000):
    samples, hiding = surface_samples(model, SAMPLES), occluder(model, Thinning(most=most))
    surface = model_surface(model, {SAMPLES: samples}, landmark_points(model, "ibug68"), hiding)
    head = surface.head(state), hiding.triangles
    return visible_samples(surface.shape(state).surface, head, state, seen(), Visibility())


def seen():
    return Observation(
        levels={},
        corner=torch.tensor([[70.0, 70.0]]),
        side=torch.tensor([360.0]),
        landmarks=torch.zeros(1, 0, 2),
        face_size=torch.tensor([240.0]),
        frame_centre=torch.tensor([250.0, 250.0]),
    )


def nearest_hit(points, triangles):
    """(N,) share of the way to each point at which its ray first meets a triangle (Moeller-Trumbore)."""
    a, u, v = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    out = []
    for ray in points:
        p = np.cross(ray, v)
        scale = (u * p).sum(1)
        scale = np.where(np.abs(scale) < 1e-9, np.inf, scale)
        q = np.cross(-a, u)
        s, t, share = (-a * p).sum(1) / scale, (q @ ray) / scale, (q * v).sum(1) / scale
        hit = (s >= 0) & (t >= 0) & (s + t <= 1) & (share > 0)
        out.append(np.where(hit, share, np.inf).min(initial=np.inf))
    return np.minimum(out, 1)


@pytest.mark.parametrize("most", [8000, 1000])
def test_the_far_cheek_is_hidden_and_the_near_one_seen(model, most):
    """Also behind a mesh that was thinned out."""
    samples, state = surface_samples(model, SAMPLES), turned(model, 50)
    got = visible(model, state, most)[0][0].bool().numpy()

    flip = np.array([1.0, -1.0, -1.0])
    to_camera = lambda x: (x @ state.rotation[0].numpy().T) * flip + state.translation[0].numpy()  # noqa: E731
    points = to_camera(samples.positions.numpy())
    depth = points[:, 2] * (1 - nearest_hit(points, to_camera(model.mean.numpy())[model.triangles.numpy()]))
    hidden, clear = depth > 12, depth < 0.5
    assert 20 < hidden.sum() < 380
    assert got[clear].mean() > 0.95
    assert got[hidden].mean() < 0.05


def test_where_samples_are_in_the_square(model):
    _, where = visible(model, turned(model, 0))
    x, y, z = surface_samples(model, SAMPLES).positions.T
    expected = torch.stack([250 + 800 * x / (700 - z), 250 - 800 * y / (700 - z)], -1)
    torch.testing.assert_close(where[0], (expected - 70) / 360)
